/* The KKT system of the whole horizon with exact curvature, its active constraints held as
 * equalities: one Riccati factorisation, then as many right-hand sides as there are.
 *
 * Held is where the multiplier exceeds the distance (a primal-dual active set: Hintermueller, Ito
 * and Kunisch 2003). Slacks are eliminated. What is held beside them, bounds and rows at the kink of
 * their penalty, is brought to zero by the method of multipliers around the factorisation, so that
 * the solution does not depend on the weight.
 */
#include "kkt.h"

#define WEIGHT 1e6 /* of held constraints, times the stage's weight */
#define PASSES 20  /* of the method of multipliers */

/* Allocate what the system needs, once; whether there is room. */
int kkt_ready(mpc *m) {
  if (!m->nodes) m->nodes = block(m, (m->N + 1) * sizeof(node));
  return m->nodes != NULL;
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
    node *n = m->nodes + k;
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
  node *n = m->nodes + k;
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
    node *n = m->nodes + k;
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
    node *n = m->nodes + k;
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
  memset(m->nodes->dx, 0, NX * sizeof(double));
  for (int k = 0; k <= m->N; k++) {
    node *n = m->nodes + k;
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

/* Solve the factorised system for the nodes' right-hand sides: step and multipliers. These begin at
 * what the nodes hold of them, near which they stay where held constraints depend on each other. */
void solve_held(mpc *m, const given *in) {
  double before = INFINITY;
  for (int pass = 0; pass < PASSES; pass++) {
    go_back(m, in);
    double worst = go_on(m, in);
    if (worst == 0.0 || worst > 0.5 * before) break; /* down to rounding */
    before = worst;
  }
  for (int k = 1; k <= m->N; k++) {
    node *n = m->nodes + k;
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
