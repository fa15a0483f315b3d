/* Convergence to a KKT residual that Gauss-Newton steps would take long to reach and an interior
 * point cannot: Gauss-Newton to the neighbourhood, Newton's steps on the active set from there.
 */
#include "kkt.h"

#define NEWTON_STEPS 10
#define LOST 1e4 /* KKT residual at which Newton's steps are given up */

/* Take Newton's step: inputs, slacks and multipliers; the states follow when it is linearised. */
static void advance(mpc *m) {
  for (int k = 0; k <= m->N; k++) {
    const node *n = m->nodes + k;
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

static void copy_point(const mpc *m, const double *X, const double *U, const double *s, double *X2,
                       double *U2, double *s2) {
  memcpy(X2, X, (m->N + 1) * NX * sizeof(double));
  memcpy(U2, U, m->N * NU * sizeof(double));
  memcpy(s2, s, (m->N + 1) * NS * sizeof(double));
}

/* Newton's steps from (X, U, s) and the multipliers until the KKT residual is below `tolerance`.
 *
 * Where they lead nowhere, as they may where held constraints depend on each other, the point is
 * left that they began at (and X2, U2, s2 hold), if it was good enough; `duals` is room for its
 * multipliers. Returns the residual, infinite where there is no such minimum.
 */
static double newton(mpc *m, const given *in, double tolerance, double *duals, int *steps) {
  double start = INFINITY;
  for (int i = 0;; i++) {
    for (int k = 0; k <= m->N; k++) {
      linearise_stage(m, in, k);
      if (k < m->N) memcpy(m->X + (k + 1) * NX, m->at[k].f, NX * sizeof(double));
    }
    double residual = fmax(kkt_residual(m, in), infeasibility(m, in));
    for (int k = 0; k <= m->N; k++) curve_stage(m, in, k);
    hold(m, in);
    int good = !factorise(m, in) && residual < tolerance;
    if (good && i) return residual;
    if (good) {
      start = residual;
      memcpy(duals, m->mult, (m->N + 1) * sizeof(multipliers));
    }
    if (i == NEWTON_STEPS || !(residual < LOST)) break;
    for (int k = 0; k <= m->N; k++) {
      node *n = m->nodes + k;
      const multipliers *y = m->mult + k;
      memcpy(n->gu, m->at[k].ru, sizeof n->gu);
      memcpy(n->gx, m->at[k].rx, sizeof n->gx);
      for (int j = 0; j < NH; j++) n->lg[j] = n->row[j] ? y->lg[j] : 0.0;
      for (int j = 0; j < NU; j++) n->on_u[j] = k < m->N ? y->ubu[j] - y->lbu[j] : 0.0;
      for (int j = 0; j < NC; j++) n->on_c[j] = y->ubx[j] - y->lbx[j];
      for (int j = 0; j < NS; j++)
        n->gs[j] = in->q[k] * (in->G[LINEAR + j] + in->G[QUADRATIC + j] * m->s[k * NS + j]);
    }
    solve_held(m, in);
    advance(m);
    ++*steps;
  }
  copy_point(m, m->X2, m->U2, m->s2, m->X, m->U, m->s);
  if (start < INFINITY) {
    memcpy(m->mult, duals, (m->N + 1) * sizeof(multipliers));
    linearise(m, in);
  }
  return start;
}

/* Take the whole step where the cost tells no difference; whether it was taken. */
static int drift(mpc *m, const given *in, double *cost) {
  for (int j = 0; j < m->N * NU; j++) m->U2[j] = m->U[j] + m->dU[j];
  double next = roll(m, in, m->X2, m->U2, m->s2);
  if (!(next <= *cost + 1e-12 * (1.0 + fabs(*cost)))) return 0;
  copy_point(m, m->X2, m->U2, m->s2, m->X, m->U, m->s);
  *cost = next;
  return 1;
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
  if (!kkt_ready(m)) return NO_PROGRESS;
  memcpy(m->U, U, m->N * NU * sizeof(double));
  double cost = roll(m, in, m->X, m->U, m->s);
  info[0] = cost;
  if (!isfinite(cost)) return NOT_FINITE;
  for (count = 0; count < iterations && !(residual < tolerance) && length > 0.0;) {
    linearise(m, in);
    status = quadratic_step(m, in, &qp_iterations);
    count++;
    if (status == NOT_FINITE) break;
    cost = take_step(m, in, cost, &length);
    if (length == 0.0 && drift(m, in, &cost)) length = 1.0;
    copy_point(m, m->X, m->U, m->s, m->X2, m->U2, m->s2);
    residual = newton(m, in, tolerance, duals, &steps);
    double reached = residual < INFINITY ? roll(m, in, m->X, m->U, m->s) : INFINITY;
    if (reached <= cost + 1e-9 * (1.0 + fabs(cost))) {
      cost = reached;
      strict = hold(m, in);
      status = OK;
      memcpy(duals, m->mult, (m->N + 1) * sizeof(multipliers));
    } else {
      residual = INFINITY;
      copy_point(m, m->X2, m->U2, m->s2, m->X, m->U, m->s);
    }
  }
  if (status == OK && !(residual < tolerance)) status = NO_PROGRESS;
  memcpy(X, m->X, (m->N + 1) * NX * sizeof(double));
  memcpy(U, m->U, m->N * NU * sizeof(double));
  memcpy(s, m->s + NS, m->N * NS * sizeof(double));
  info[1] = cost, info[2] = residual, info[3] = count, info[4] = qp_iterations, info[5] = steps;
  info[6] = strict;
  return status;
}
