/* Newton's steps on the KKT conditions, to a residual that Gauss-Newton steps would take long to
 * reach and an interior point cannot: exact curvature, active constraints held as equalities.
 *
 * The set of held constraints follows the multipliers (a primal-dual active set: held where the
 * multiplier exceeds the distance; Hintermueller, Ito and Kunisch 2003). Slacks are eliminated. What
 * is held beside them, bounds and rows at the kink of their penalty, is brought to zero by the
 * method of multipliers around one Riccati factorisation, so that the solution does not depend on
 * the weight.
 */
#include "newton.h"

#define WEIGHT 1e6     /* of held constraints, times the stage's weight */
#define PASSES 8       /* of the method of multipliers */
#define NEWTON_STEPS 10
#define LOST 1e4       /* KKT residual at which Newton's steps are given up */

/* Allocate what Newton's steps need, once; whether there is room. */
int newton_ready(mpc *m) {
  if (m->newton) return 1;
  struct newton *made = block(m, sizeof(struct newton));
  node *at = block(m, (m->N + 1) * sizeof(node));
  if (!made || !at) return 0;
  made->at = at;
  m->newton = made;
  return 1;
}

/* Put the exact Hessian of the Lagrangian in the place of Gauss-Newton's. */
void curve_stage(mpc *m, const given *in, int k) {
  stage *a = m->at + k;
  const multipliers *y = m->mult + k;
  const double *x = m->X + k * NX, *p = in->P + k * NP;
  if (k < m->N) {
    const double *arg[MAX_ARGS] = {x, m->U + k * NU, p, in->G, in->dt + k, in->q + k, y->pi, y->lg};
    double *res[MAX_RES] = {a->R, a->S, a->Q};
    stage_curve(arg, res, m->iw, m->w, 0);
    return;
  }
  const double *arg[MAX_ARGS] = {x, p, in->G, in->q + k, y->lg};
  double *res[MAX_RES] = {a->Q};
  stage_curve_end(arg, res, m->iw, m->w, 0);
  for (int i = 0; in->vg && i < NX * NX; i++) a->Q[i] += in->vH[i];
}

/* What of one bound is held: sets the side and how far off it is, returns the strictness. */
static double hold_bound(double v, double low, double high, double y_low, double y_high, int *side,
                         double *off) {
  *side = y_low > v - low ? -1 : y_high > high - v ? 1 : 0;
  *off = *side < 0 ? v - low : *side > 0 ? v - high : 0.0;
  return fmin(fmax(y_low, v - low), fmax(y_high, high - v));
}

/* Decide which constraints are held, by the multipliers and distances at (X, U, s).
 *
 * Returns the strictness: the least max(multiplier, distance) of all constraints. Where it is zero
 * the solution has a kink in the parameters there.
 */
double hold(mpc *m, const given *in) {
  const double *ulow = in->bounds, *uhigh = ulow + NU, *clow = uhigh + NU, *chigh = clow + NC;
  double strict = INFINITY;
  for (int k = 0; k <= m->N; k++) {
    node *n = m->newton->at + k;
    const stage *a = m->at + k;
    const multipliers *y = m->mult + k;
    const double *x = m->X + k * NX, *u = m->U + k * NU, *s = m->s + k * NS;
    int first = k < m->N ? NU : 0;
    for (int i = 0; i < first; i++)
      strict = fmin(strict, hold_bound(u[i], ulow[i], uhigh[i], y->lbu[i], y->ubu[i],
                                       n->input_side + i, n->off_u + i));
    if (!k) continue;
    for (int i = 0; i < NC; i++)
      strict = fmin(strict, hold_bound(x[CMD + i], clow[i], chigh[i], y->lbx[i], y->ubx[i],
                                       n->command_side + i, n->off_c + i));
    for (int j = 0; j < NS; j++) n->chief[j] = -1, n->off_s[j] = s[j];
    for (int i = 0; i < NH; i++) {
      int j = m->family[i];
      n->off_h[i] = a->h[i] + s[j];
      n->row[i] = y->lg[i] > n->off_h[i];
      strict = fmin(strict, fmax(y->lg[i], n->off_h[i]));
      if (!n->row[i] || y->lbu[first + j] > s[j]) continue;
      if (n->chief[j] < 0 || y->lg[i] > y->lg[n->chief[j]]) n->chief[j] = i;
    }
    for (int j = 0; j < NS; j++) strict = fmin(strict, fmax(y->lbu[first + j], s[j]));
  }
  return strict;
}

/* List the rows held beside the chiefs; the stage's Hessian with all held ones goes into P. */
static void weigh(mpc *m, const given *in, int k) {
  node *n = m->newton->at + k;
  const stage *a = m->at + k;
  double weight = WEIGHT * in->q[k];
  memcpy(n->P, a->Q, sizeof n->P);
  n->num_held = 0;
  for (int i = 0; i < NC; i++)
    if (n->command_side[i]) n->P[(NX + 1) * (CMD + i)] += weight;
  for (int i = 0; i < NH; i++) {
    if (!n->row[i]) continue;
    int chief = n->chief[m->family[i]];
    double t[NX], w = weight;
    for (int j = 0; j < NX; j++) t[j] = a->C[i + NH * j];
    if (i == chief) {
      w = in->q[k] * in->G[QUADRATIC + m->family[i]];
    } else {
      if (chief >= 0)
        for (int j = 0; j < NX; j++) t[j] -= a->C[chief + NH * j];
      memcpy(n->toward + NX * n->num_held, t, sizeof t);
      n->held[n->num_held++] = i;
    }
    for (int c = 0; c < NX; c++)
      for (int r = 0; r < NX; r++) n->P[r + NX * c] += w * t[r] * t[c];
  }
}

/* Riccati's recursion over the stages' Hessians; returns how many of them are not positive. */
int factorise(mpc *m, const given *in) {
  int bad = 0;
  for (int k = m->N; k >= 0; k--) {
    node *n = m->newton->at + k;
    const stage *a = m->at + k;
    if (k) weigh(m, in, k);
    if (k == m->N) continue;
    const double *V = n[1].P;
    double VA[NX * NX] = {0}, VB[NX * NU] = {0}, H[NU * NU], S[NU * NX], M[NX * NX] = {0};
    for (int j = 0; j < NU; j++)
      for (int l = 0; l < NX; l++)
        for (int i = 0; i < NX; i++) VB[i + NX * j] += V[i + NX * l] * a->B[l + NX * j];
    memcpy(H, a->R, sizeof H);
    for (int j = 0; j < NU; j++) {
      for (int i = 0; i < NU; i++)
        for (int l = 0; l < NX; l++) H[i + NU * j] += a->B[l + NX * i] * VB[l + NX * j];
      if (n->input_side[j]) H[(NU + 1) * j] += WEIGHT * in->q[k];
    }
    double det = H[0] * H[3] - H[1] * H[2];
    bad += !(H[0] > 0.0 && det > 0.0);
    n->inverse[0] = H[3] / det, n->inverse[3] = H[0] / det;
    n->inverse[1] = n->inverse[2] = -H[1] / det;
    if (!k) continue;
    for (int j = 0; j < NX; j++)
      for (int i = 0; i < NU; i++) {
        S[i + NU * j] = a->S[i + NU * j];
        for (int l = 0; l < NX; l++) S[i + NU * j] += VB[l + NX * i] * a->A[l + NX * j];
      }
    for (int j = 0; j < NX; j++)
      for (int i = 0; i < NU; i++)
        n->K[i + NU * j] = -n->inverse[i] * S[NU * j] - n->inverse[i + NU] * S[1 + NU * j];
    for (int j = 0; j < NX; j++)
      for (int l = 0; l < NX; l++)
        for (int i = 0; i < NX; i++) VA[i + NX * j] += V[i + NX * l] * a->A[l + NX * j];
    for (int j = 0; j < NX; j++)
      for (int i = 0; i < NX; i++) {
        for (int l = 0; l < NX; l++) M[i + NX * j] += a->A[l + NX * i] * VA[l + NX * j];
        for (int l = 0; l < NU; l++) M[i + NX * j] += S[l + NU * i] * n->K[l + NU * j];
      }
    for (int j = 0; j < NX; j++)
      for (int i = 0; i < NX; i++) n->P[i + NX * j] += 0.5 * (M[i + NX * j] + M[j + NX * i]);
  }
  return bad;
}

/* How far a held row is off its slack's value, or off its chief's. */
static double row_off(const mpc *m, const node *n, int i) {
  int j = m->family[i], chief = n->chief[j];
  return n->off_h[i] - (chief < 0 ? n->off_s[j] : n->off_h[chief]);
}

/* Gradients p and feed-forwards of the recursion for the multipliers as they are. */
static void go_back(mpc *m, const given *in) {
  for (int k = m->N; k >= 0; k--) {
    node *n = m->newton->at + k;
    const stage *a = m->at + k;
    double weight = WEIGHT * in->q[k], gu[NU];
    if (k) {
      memcpy(n->p, n->gx, sizeof n->p);
      for (int i = 0; i < NC; i++)
        if (n->command_side[i]) n->p[CMD + i] += n->on_c[i] + weight * n->off_c[i];
      for (int j = 0; j < NS; j++) {
        int i = n->chief[j];
        if (i < 0) continue;
        double slope = in->q[k] * in->G[QUADRATIC + j] * n->off_h[i] - n->gs[j];
        for (int l = 0; l < NX; l++) n->p[l] += slope * a->C[i + NH * l];
      }
      for (int r = 0; r < n->num_held; r++) {
        double push = weight * row_off(m, n, n->held[r]) - n->lg[n->held[r]];
        for (int l = 0; l < NX; l++) n->p[l] += push * n->toward[l + NX * r];
      }
    }
    if (k == m->N) continue;
    const double *p = n[1].p;
    for (int i = 0; i < NU; i++) {
      gu[i] = n->gu[i];
      if (n->input_side[i]) gu[i] += n->on_u[i] + weight * n->off_u[i];
      for (int l = 0; l < NX; l++) gu[i] += a->B[l + NX * i] * p[l];
    }
    for (int i = 0; i < NU; i++)
      n->ff[i] = -n->inverse[i] * gu[0] - n->inverse[i + NU] * gu[1];
    if (!k) continue;
    for (int i = 0; i < NX; i++) {
      for (int l = 0; l < NX; l++) n->p[i] += a->A[l + NX * i] * p[l];
      for (int l = 0; l < NU; l++) n->p[i] += n->K[l + NU * i] * gu[l];
    }
  }
}

/* The step, and the multipliers it leads to; returns by how much held constraints are violated. */
static double go_on(mpc *m, const given *in) {
  double worst = 0.0;
  memset(m->newton->at->dx, 0, NX * sizeof(double));
  for (int k = 0; k <= m->N; k++) {
    node *n = m->newton->at + k;
    const stage *a = m->at + k;
    double weight = WEIGHT * in->q[k], off;
    if (k) {
      for (int i = 0; i < NC; i++) {
        if (!n->command_side[i]) continue;
        worst = fmax(worst, fabs(off = n->off_c[i] + n->dx[CMD + i]));
        n->on_c[i] += weight * off;
      }
      for (int r = 0; r < n->num_held; r++) {
        off = row_off(m, n, n->held[r]);
        for (int l = 0; l < NX; l++) off += n->toward[l + NX * r] * n->dx[l];
        worst = fmax(worst, fabs(off));
        n->lg[n->held[r]] -= weight * off;
      }
    }
    if (k == m->N) break;
    for (int i = 0; i < NU; i++) {
      n->du[i] = n->ff[i];
      for (int l = 0; k && l < NX; l++) n->du[i] += n->K[i + NU * l] * n->dx[l];
      if (!n->input_side[i]) continue;
      worst = fmax(worst, fabs(off = n->off_u[i] + n->du[i]));
      n->on_u[i] += weight * off;
    }
    for (int i = 0; i < NX; i++) {
      double x = 0.0;
      for (int l = 0; l < NX; l++) x += a->A[i + NX * l] * n->dx[l];
      for (int l = 0; l < NU; l++) x += a->B[i + NX * l] * n->du[l];
      n[1].dx[i] = x;
    }
    for (int i = 0; i < NX; i++) {
      n->pi[i] = n[1].p[i];
      for (int l = 0; l < NX; l++) n->pi[i] += n[1].P[i + NX * l] * n[1].dx[l];
    }
  }
  return worst;
}

/* Solve the factorised system for the nodes' right-hand sides: step and multipliers. */
void solve_held(mpc *m, const given *in) {
  for (int k = 0; k <= m->N; k++) {
    node *n = m->newton->at + k;
    memset(n->on_u, 0, sizeof n->on_u);
    memset(n->on_c, 0, sizeof n->on_c);
    memset(n->lg, 0, sizeof n->lg);
  }
  double before = INFINITY;
  for (int pass = 0; pass < PASSES; pass++) {
    go_back(m, in);
    double worst = go_on(m, in);
    if (worst == 0.0 || worst > 0.1 * before) break; /* down to rounding */
    before = worst;
  }
  for (int k = 1; k <= m->N; k++) {
    node *n = m->newton->at + k;
    for (int j = 0; j < NS; j++) {
      int chief = n->chief[j];
      n->ds[j] = -n->off_s[j];
      if (chief >= 0) {
        n->ds[j] = -n->off_h[chief];
        for (int l = 0; l < NX; l++) n->ds[j] -= m->at[k].C[chief + NH * l] * n->dx[l];
      }
      double left = n->gs[j] + in->q[k] * in->G[QUADRATIC + j] * n->ds[j];
      for (int i = 0; i < NH; i++)
        if (m->family[i] == j && i != chief) left -= n->lg[i];
      n->ls[j] = chief < 0 ? left : 0.0;
      if (chief >= 0) n->lg[chief] = left;
    }
  }
}

/* Take Newton's step: inputs, slacks and multipliers; the states follow when it is linearised. */
static void advance(mpc *m) {
  for (int k = 0; k <= m->N; k++) {
    const node *n = m->newton->at + k;
    multipliers *y = m->mult + k;
    int first = k < m->N ? NU : 0;
    memset(y->lbu, 0, sizeof y->lbu);
    memset(y->ubu, 0, sizeof y->ubu);
    for (int i = 0; i < first; i++) {
      m->U[k * NU + i] += n->du[i];
      y->lbu[i] = n->input_side[i] < 0 ? -n->on_u[i] : 0.0;
      y->ubu[i] = n->input_side[i] > 0 ? n->on_u[i] : 0.0;
    }
    if (k < m->N) memcpy(y->pi, n->pi, sizeof y->pi);
    if (!k) continue;
    for (int i = 0; i < NC; i++) {
      y->lbx[i] = n->command_side[i] < 0 ? -n->on_c[i] : 0.0;
      y->ubx[i] = n->command_side[i] > 0 ? n->on_c[i] : 0.0;
    }
    memcpy(y->lg, n->lg, sizeof y->lg);
    for (int j = 0; j < NS; j++) {
      m->s[k * NS + j] += n->ds[j];
      y->lbu[first + j] = n->ls[j];
    }
  }
}

/* The largest violation of signs and bounds, and of their complementarity; the rest of the KKT
 * conditions is `kkt_residual`'s. */
static double infeasibility(const mpc *m, const given *in) {
  const double *low = in->bounds, *high = low + NU, *clow = high + NU, *chigh = clow + NC;
  double worst = 0.0;
  for (int k = 0; k <= m->N; k++) {
    const multipliers *y = m->mult + k;
    int first = k < m->N ? NU : 0;
    for (int i = 0; i < first + (k ? NC : 0); i++) {
      int c = i - first;
      double v = c < 0 ? m->U[k * NU + i] : m->X[k * NX + CMD + c];
      double below = v - (c < 0 ? low[i] : clow[c]), above = (c < 0 ? high[i] : chigh[c]) - v;
      double yl = c < 0 ? y->lbu[i] : y->lbx[c], yu = c < 0 ? y->ubu[i] : y->ubx[c];
      worst = fmax(worst, fmax(fmax(-below, -above), fmax(-yl, -yu)));
      worst = fmax(worst, fmax(fabs(below * yl), fabs(above * yu)));
    }
    if (!k) continue;
    for (int j = 0; j < NS; j++)
      worst = fmax(worst, fmax(-m->s[k * NS + j], -y->lbu[first + j]));
    for (int i = 0; i < NH; i++)
      worst = fmax(worst, fmax(-y->lg[i], -m->at[k].h[i] - m->s[k * NS + m->family[i]]));
  }
  return worst;
}

/* Newton's steps from (X, U, s) and the multipliers until the KKT residual is below `tolerance`;
 * returns the residual, or infinity where they lead nowhere or to no minimum. */
static double newton(mpc *m, const given *in, double tolerance, int *steps) {
  for (int i = 0;; i++) {
    for (int k = 0; k <= m->N; k++) {
      linearise_stage(m, in, k);
      if (k < m->N) memcpy(m->X + (k + 1) * NX, m->at[k].f, NX * sizeof(double));
    }
    double residual = fmax(kkt_residual(m, in), infeasibility(m, in));
    for (int k = 0; k <= m->N; k++) curve_stage(m, in, k);
    hold(m, in);
    int bad = factorise(m, in);
    if (i && residual < tolerance) return bad ? INFINITY : residual;
    if (i == NEWTON_STEPS || !(residual < LOST)) return INFINITY;
    for (int k = 0; k <= m->N; k++) {
      node *n = m->newton->at + k;
      memcpy(n->gu, m->at[k].ru, sizeof n->gu);
      memcpy(n->gx, m->at[k].rx, sizeof n->gx);
      for (int j = 0; j < NS; j++)
        n->gs[j] = in->q[k] * (in->G[LINEAR + j] + in->G[QUADRATIC + j] * m->s[k * NS + j]);
    }
    solve_held(m, in);
    advance(m);
    ++*steps;
  }
}

static void copy_point(const mpc *m, const double *X, const double *U, const double *s, double *X2,
                       double *U2, double *s2) {
  memcpy(X2, X, (m->N + 1) * NX * sizeof(double));
  memcpy(U2, U, m->N * NU * sizeof(double));
  memcpy(s2, s, (m->N + 1) * NS * sizeof(double));
}

/* Converge from U: Gauss-Newton steps, and from each Newton's until these come to a minimum.
 *
 * info: cost at the start, cost, KKT residual, Gauss-Newton steps, QP iterations, Newton steps,
 * strictness (see `hold`). `duals` receives the N + 1 stages' `multipliers`.
 */
int mpc_converge(mpc *m, const given *in, double *X, double *U, double *s, double *duals,
                 int iterations, double tolerance, double *info) {
  int status = OK, qp_iterations = 0, steps = 0, count;
  double residual = INFINITY, length = 1.0, strict = 0.0;
  if (!newton_ready(m)) return NO_PROGRESS;
  memcpy(m->U, U, m->N * NU * sizeof(double));
  double cost = roll(m, in, m->X, m->U, m->s);
  info[0] = cost;
  if (!isfinite(cost)) return NOT_FINITE;
  for (count = 0; count < iterations && residual > tolerance; count++) {
    linearise(m, in);
    status = quadratic_step(m, in, &qp_iterations);
    if (status == NOT_FINITE) break;
    cost = take_step(m, in, cost, &length);
    copy_point(m, m->X, m->U, m->s, m->X2, m->U2, m->s2);
    residual = newton(m, in, tolerance, &steps);
    double reached = residual < INFINITY ? roll(m, in, m->X, m->U, m->s) : INFINITY;
    if (reached <= cost + 1e-9 * (1.0 + fabs(cost))) {
      cost = reached;
      strict = hold(m, in);
      status = OK;
      memcpy(duals, m->mult, (m->N + 1) * sizeof(multipliers));
      break;
    }
    residual = INFINITY;
    copy_point(m, m->X2, m->U2, m->s2, m->X, m->U, m->s);
    if (length == 0.0) break;
  }
  if (status == OK && !(residual < tolerance)) status = NO_PROGRESS;
  memcpy(X, m->X, (m->N + 1) * NX * sizeof(double));
  memcpy(U, m->U, m->N * NU * sizeof(double));
  memcpy(s, m->s + NS, m->N * NS * sizeof(double));
  info[1] = cost, info[2] = residual, info[3] = count, info[4] = qp_iterations, info[5] = steps;
  info[6] = strict;
  return status;
}
