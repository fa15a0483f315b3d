/* Gradients of a loss of the solution by the problem's parameters: the implicit function theorem on
 * the KKT conditions, one Riccati factorisation and one solution for each problem; and loops over
 * batches of problems.
 */
#include "kkt.h"

/* Arrays of a batch, one problem after another; what a solver alone fills, the other may leave out. */
typedef struct {
  double *X, *U, *s, *duals, *info;     /* solutions: s of stages 1 to N, info of 7 */
  int *status;
  const double *loss_x, *loss_u;        /* derivatives of the loss by X and U */
  double *x0, *P, *G, *vx, *vg, *vH;    /* derivatives of the loss by what is given */
} batch;

/* Derivatives of one stage's KKT conditions along the adjoint: by P, and by G, which are added up. */
static void pull_stage(mpc *m, const given *in, int k, double *dP, double *dG) {
  const node *n = m->nodes + k;
  const multipliers *y = m->mult + k;
  const double *x = m->X + k * NX, *p = in->P + k * NP, *s = m->s + k * NS;
  double by_g[NG];
  double *res[MAX_RES] = {dP, by_g};
  if (k < m->N) {
    const double *arg[MAX_ARGS] = {x,     m->U + k * NU, p,     in->G, in->dt + k, in->q + k, y->pi,
                                   y->lg, n->du,         n->dx, n->pi, n->lg};
    stage_sens(arg, res, m->iw, m->w, 0);
  } else {
    const double *arg[MAX_ARGS] = {x, p, in->G, in->q + k, y->lg, n->dx, n->lg};
    stage_sens_end(arg, res, m->iw, m->w, 0);
  }
  for (int i = 0; i < NG; i++) dG[i] += by_g[i];
  for (int j = 0; k && j < NS; j++) {
    dG[LINEAR + j] += in->q[k] * n->ds[j];
    dG[QUADRATIC + j] += in->q[k] * n->ds[j] * s[j];
  }
}

/* The loss's derivatives at the converged point in m; returns how many stages are no minimum. */
static int adjoint(mpc *m, const given *in, const batch *b) {
  for (int k = 0; k <= m->N; k++) {
    linearise_stage(m, in, k);
    curve_stage(m, in, k);
  }
  hold(m, in);
  for (int k = 0; k <= m->N; k++) {
    node *n = m->nodes + k;
    memset(n->off_u, 0, sizeof n->off_u);
    memset(n->off_c, 0, sizeof n->off_c);
    memset(n->off_h, 0, sizeof n->off_h);
    memset(n->off_s, 0, sizeof n->off_s);
    memset(n->gs, 0, sizeof n->gs);
    memset(n->on_u, 0, sizeof n->on_u);
    memset(n->on_c, 0, sizeof n->on_c);
    memset(n->lg, 0, sizeof n->lg);
    memcpy(n->gx, b->loss_x + k * NX, sizeof n->gx);
    if (k < m->N) memcpy(n->gu, b->loss_u + k * NU, sizeof n->gu);
  }
  int bad = factorise(m, in);
  solve_held(m, in);
  memset(b->G, 0, NG * sizeof(double));
  for (int k = 0; k <= m->N; k++) pull_stage(m, in, k, b->P + k * NP, b->G);
  const node *n = m->nodes;
  const stage *a = m->at;
  for (int i = 0; i < NX; i++) {
    b->x0[i] = b->loss_x[i];
    for (int l = 0; l < NU; l++) b->x0[i] += a->S[l + NU * i] * n->du[l];
    for (int l = 0; l < NX; l++) b->x0[i] += a->A[l + NX * i] * n->pi[l];
  }
  if (!in->vg) return bad;
  const double *dx = n[m->N].dx, *x = m->X + m->N * NX;
  for (int i = 0; i < NX; i++) {
    b->vg[i] = dx[i];
    b->vx[i] = 0.0;
    for (int j = 0; j < NX; j++) {
      b->vx[i] -= in->vH[i + NX * j] * dx[j];
      b->vH[i + NX * j] = 0.5 * (dx[i] * (x[j] - in->vx[j]) + dx[j] * (x[i] - in->vx[i]));
    }
  }
  return bad;
}

/* The next problem of a batch. */
static void step_on(const mpc *m, given *in, batch *b) {
  int n = m->N;
  in->x0 += NX, in->P += (n + 1) * NP, in->G += NG;
  if (in->vg) in->vx += NX, in->vg += NX, in->vH += NX * NX;
  b->X += (n + 1) * NX, b->U += n * NU, b->s += n * NS, b->info += 7, b->status++;
  b->duals += (n + 1) * sizeof(multipliers) / sizeof(double);
  if (!b->loss_x) return;
  b->loss_x += (n + 1) * NX, b->loss_u += n * NU;
  b->x0 += NX, b->P += (n + 1) * NP, b->G += NG;
  if (in->vg) b->vx += NX, b->vg += NX, b->vH += NX * NX;
}

/* Doubles of one stage's multipliers. */
int mpc_num_duals(void) { return sizeof(multipliers) / sizeof(double); }

/* Converge `count` problems, from their U. */
void mpc_converge_batch(mpc *m, int count, given in, batch b, int iterations, double tolerance) {
  for (; count-- > 0; step_on(m, &in, &b))
    *b.status = mpc_converge(m, &in, b.X, b.U, b.s, b.duals, iterations, tolerance, b.info);
}

/* The losses' derivatives at `count` solutions. */
void mpc_adjoint_batch(mpc *m, int count, given in, batch b) {
  for (; count-- > 0; step_on(m, &in, &b)) {
    memcpy(m->X, b.X, (m->N + 1) * NX * sizeof(double));
    memcpy(m->U, b.U, m->N * NU * sizeof(double));
    memcpy(m->s + NS, b.s, m->N * NS * sizeof(double));
    memcpy(m->mult, b.duals, (m->N + 1) * sizeof(multipliers));
    *b.status = adjoint(m, &in, &b) ? NO_PROGRESS : OK;
  }
}
