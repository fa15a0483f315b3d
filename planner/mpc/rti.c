/* One real-time iteration, or several, of the MPC: CasADi's linearisation, HPIPM's quadratic
 * program, and a step that is rolled out through the model and taken as far as it lowers the cost.
 */
#include "rti.h"

void *block(mpc *m, size_t bytes) {
  void *p = NULL;
  if (m->num_blocks == MAX_BLOCKS || posix_memalign(&p, 64, bytes + 64)) return NULL;
  memset(p, 0, bytes + 64);
  m->blocks[m->num_blocks++] = p;
  return p;
}

void mpc_free(mpc *m) {
  if (!m) return;
  for (int i = 0; i < m->num_blocks; i++) free(m->blocks[i]);
  free(m);
}

static void fixed_parts(mpc *m) {
  int idxbx[NC], idxbu[NUS];
  double D[NH * NUS] = {0}, zeros[NH] = {0}, some[NUS];
  for (int i = 0; i < NC; i++) idxbx[i] = CMD + i;
  for (int i = 0; i < NUS; i++) idxbu[i] = i;
  for (int k = 0; k <= m->N; k++) {
    int first = k < m->N ? NU : 0; /* of the slacks among the inputs */
    int nu = first + (k ? NS : 0);
    d_ocp_qp_set_idxbu(k, idxbu, &m->qp);
    for (int i = 0; i < nu; i++) some[i] = i < first; /* slacks have no upper bound */
    d_ocp_qp_set_ubu_mask(k, some, &m->qp);
    if (!k) continue;
    d_ocp_qp_set_idxbx(k, idxbx, &m->qp);
    memset(D, 0, sizeof D);
    for (int i = 0; i < NH; i++) D[i + NH * (first + m->family[i])] = 1.0;
    d_ocp_qp_set_D(k, D, &m->qp);
    d_ocp_qp_set_ug(k, zeros, &m->qp);
    d_ocp_qp_set_ug_mask(k, zeros, &m->qp);
  }
}

/* Make the quadratic program, its solution and its workspace as new. HPIPM multiplies what its
 * workspace holds from the solve before by zero: a nan in it would spoil every later solve. */
static void clear_qp(mpc *m) {
  size_t qp = d_ocp_qp_memsize(&m->dim), sol = d_ocp_qp_sol_memsize(&m->dim),
         ws = d_ocp_qp_ipm_ws_memsize(&m->dim, &m->arg);
  d_ocp_qp_create(&m->dim, &m->qp, memset(m->qp_memory, 0, qp));
  d_ocp_qp_sol_create(&m->dim, &m->sol, memset(m->sol_memory, 0, sol));
  d_ocp_qp_ipm_ws_create(&m->dim, &m->arg, &m->ws, memset(m->ws_memory, 0, ws));
  fixed_parts(m);
}

/* A solver for N intervals; NULL when memory is short. */
mpc *mpc_new(int N, const int *family, int qp_iterations, double qp_tolerance) {
  mpc *m = calloc(1, sizeof(mpc));
  if (!m) return NULL;
  m->N = N;
  int *sizes = block(m, 6 * (N + 1) * sizeof(int));
  int *nx = sizes, *nu = nx + N + 1, *nbx = nu + N + 1, *nbu = nbx + N + 1, *ng = nbu + N + 1,
      *ns = ng + N + 1;
  for (int k = 0; k <= N; k++) {
    nx[k] = k ? NX : 0;
    nu[k] = nbu[k] = (k < N ? NU : 0) + (k ? NS : 0);
    nbx[k] = k ? NC : 0;
    ng[k] = k ? NH : 0;
    ns[k] = 0;
  }
  d_ocp_qp_dim_create(N, &m->dim, block(m, d_ocp_qp_dim_memsize(N)));
  d_ocp_qp_dim_set_all(nx, nu, nbx, nbu, ng, ns, &m->dim);
  d_ocp_qp_ipm_arg_create(&m->dim, &m->arg, block(m, d_ocp_qp_ipm_arg_memsize(&m->dim)));
  d_ocp_qp_ipm_arg_set_default(QP_MODE, &m->arg);
  d_ocp_qp_ipm_arg_set_iter_max(&qp_iterations, &m->arg);
  d_ocp_qp_ipm_arg_set_tol_stat(&qp_tolerance, &m->arg);
  d_ocp_qp_ipm_arg_set_tol_eq(&qp_tolerance, &m->arg);
  d_ocp_qp_ipm_arg_set_tol_ineq(&qp_tolerance, &m->arg);
  d_ocp_qp_ipm_arg_set_tol_comp(&qp_tolerance, &m->arg);
  m->qp_memory = block(m, d_ocp_qp_memsize(&m->dim));
  m->sol_memory = block(m, d_ocp_qp_sol_memsize(&m->dim));
  m->ws_memory = block(m, d_ocp_qp_ipm_ws_memsize(&m->dim, &m->arg));
  m->at = block(m, (N + 1) * sizeof(stage));
  m->mult = block(m, (N + 1) * sizeof(multipliers));
  int row = 2 * ((N + 1) * (NX + NU + NS)) + N * NU;
  m->X = block(m, row * sizeof(double));
  m->U = m->X + (N + 1) * NX;
  m->s = m->U + (N + 1) * NU;
  m->X2 = m->s + (N + 1) * NS;
  m->U2 = m->X2 + (N + 1) * NX;
  m->s2 = m->U2 + (N + 1) * NU;
  m->dU = m->s2 + (N + 1) * NS;
  m->family = block(m, NH * sizeof(int));
  m->w = block(m, WORK_W * sizeof(double));
  m->iw = block(m, WORK_IW * sizeof(casadi_int));
  if (!m->iw) {
    mpc_free(m);
    return NULL;
  }
  memcpy(m->family, family, NH * sizeof(int));
  clear_qp(m);
  return m;
}

static double clamp(double v, double low, double high) { return fmin(fmax(v, low), high); }

/* Slacks of a stage and what they cost, a rate. */
static double slacken(const mpc *m, const double *h, const double *G, double *s) {
  double cost = 0.0;
  memset(s, 0, NS * sizeof(double));
  for (int i = 0; i < NH; i++) s[m->family[i]] = fmax(s[m->family[i]], -h[i]);
  for (int j = 0; j < NS; j++) cost += G[LINEAR + j] * s[j] + 0.5 * G[QUADRATIC + j] * s[j] * s[j];
  return cost;
}

/* Roll the model out from x0 under U, which is brought within its bounds; returns the cost. */
double roll(mpc *m, const given *in, double *X, double *U, double *s) {
  const double *ulow = in->bounds, *uhigh = ulow + NU, *clow = uhigh + NU, *chigh = clow + NC;
  const double *arg[MAX_ARGS];
  double *res[MAX_RES], h[NH], part, cost = 0.0;
  memcpy(X, in->x0, NX * sizeof(double));
  for (int k = 0; k < m->N; k++) {
    double *x = X + k * NX, *u = U + k * NU;
    for (int i = 0; i < NU; i++) {
      double low = (clow[i] - x[CMD + i]) / in->dt[k], high = (chigh[i] - x[CMD + i]) / in->dt[k];
      u[i] = clamp(clamp(u[i], low, high), ulow[i], uhigh[i]);
    }
    arg[0] = x, arg[1] = u, arg[2] = in->P + k * NP, arg[3] = in->G, arg[4] = in->dt + k,
    arg[5] = in->q + k;
    res[0] = X + (k + 1) * NX, res[1] = &part, res[2] = h;
    stage_advance(arg, res, m->iw, m->w, 0);
    cost += part;
    if (k) cost += in->q[k] * slacken(m, h, in->G, s + k * NS);
  }
  double *x = X + m->N * NX;
  arg[0] = x, arg[1] = in->P + m->N * NP, arg[2] = in->G, arg[3] = in->q + m->N;
  res[0] = &part, res[1] = h;
  stage_finish(arg, res, m->iw, m->w, 0);
  cost += part + in->q[m->N] * slacken(m, h, in->G, s + m->N * NS);
  if (in->vg) {
    for (int i = 0; i < NX; i++) {
      double off = x[i] - in->vx[i], bend = 0.0;
      for (int j = 0; j < NX; j++) bend += in->vH[i + NX * j] * (x[j] - in->vx[j]);
      cost += off * (in->vg[i] + 0.5 * bend);
    }
  }
  return cost;
}

void linearise_stage(mpc *m, const given *in, int k) {
  const double *x = m->X + k * NX, *p = in->P + k * NP;
  stage *a = m->at + k;
  if (k < m->N) {
    const double *arg[MAX_ARGS] = {x, m->U + k * NU, p, in->G, in->dt + k, in->q + k};
    double *res[MAX_RES] = {a->A, a->B, a->f, a->R, a->S, a->Q, a->ru, a->rx, a->C, a->h,
                            a->bend};
    stage_lin(arg, res, m->iw, m->w, 0);
    return;
  }
  const double *arg[MAX_ARGS] = {x, p, in->G, in->q + k};
  double *res[MAX_RES] = {a->Q, a->rx, a->C, a->h, a->bend};
  stage_lin_end(arg, res, m->iw, m->w, 0);
  if (!in->vg) return;
  for (int i = 0; i < NX; i++) {
    a->rx[i] += in->vg[i];
    for (int j = 0; j < NX; j++) {
      a->Q[i + NX * j] += in->vH[i + NX * j];
      a->rx[i] += in->vH[i + NX * j] * (x[j] - in->vx[j]);
    }
  }
}

void linearise(mpc *m, const given *in) {
  for (int k = 0; k <= m->N; k++) linearise_stage(m, in, k);
}

/* The largest violation of the KKT conditions at (X, U, s) with the multipliers of the last QP. */
double kkt_residual(const mpc *m, const given *in) {
  double worst = 0.0;
  for (int k = 0; k <= m->N; k++) {
    const stage *a = m->at + k;
    const multipliers *y = m->mult + k, *before = k ? y - 1 : NULL;
    int first = k < m->N ? NU : 0;
    for (int i = 0; i < first; i++) {
      double r = a->ru[i] - y->lbu[i] + y->ubu[i];
      for (int j = 0; j < NX; j++) r += a->B[j + NX * i] * y->pi[j];
      worst = fmax(worst, fabs(r));
    }
    if (!k) continue;
    for (int i = 0; i < NX; i++) {
      double r = a->rx[i] - before->pi[i];
      if (k < m->N)
        for (int j = 0; j < NX; j++) r += a->A[j + NX * i] * y->pi[j];
      for (int j = 0; j < NH; j++) r -= a->C[j + NH * i] * y->lg[j];
      if (i >= CMD) r += y->ubx[i - CMD] - y->lbx[i - CMD];
      worst = fmax(worst, fabs(r));
    }
    const double *s = m->s + k * NS;
    for (int j = 0; j < NS; j++) {
      double r = in->q[k] * (in->G[LINEAR + j] + in->G[QUADRATIC + j] * s[j]) - y->lbu[first + j];
      for (int i = 0; i < NH; i++) r -= m->family[i] == j ? y->lg[i] : 0.0;
      worst = fmax(worst, fmax(fabs(r), fabs(s[j] * y->lbu[first + j])));
    }
    for (int i = 0; i < NH; i++) worst = fmax(worst, fabs(y->lg[i] * (a->h[i] + s[m->family[i]])));
  }
  return worst;
}

/* Add what the rows' curvature in speed counts under the multipliers of the last QP. */
static void add_bends(mpc *m) {
  for (int k = 1; k <= m->N; k++)
    for (int i = 0; i < NH; i++)
      m->at[k].Q[SPEED_AT + NX * SPEED_AT] += m->mult[k].lg[i] * m->at[k].bend[i];
}

static void fill_qp(mpc *m, const given *in) {
  const double *ulow = in->bounds, *uhigh = ulow + NU, *clow = uhigh + NU, *chigh = clow + NC;
  for (int k = 0; k <= m->N; k++) {
    stage *a = m->at + k;
    int first = k < m->N ? NU : 0, nu = first + (k ? NS : 0);
    double B[NX * NUS] = {0}, R[NUS * NUS] = {0}, S[NUS * NX] = {0}, r[NUS], low[NUS] = {0},
           high[NUS] = {0}, b[NX], lg[NH];
    memcpy(B, a->B, first * NX * sizeof(double));
    for (int i = 0; i < first; i++) {
      for (int j = 0; j < first; j++) R[i + nu * j] = a->R[i + NU * j];
      for (int j = 0; j < NX; j++) S[i + nu * j] = a->S[i + NU * j];
      r[i] = a->ru[i];
      low[i] = ulow[i] - m->U[k * NU + i];
      high[i] = uhigh[i] - m->U[k * NU + i];
    }
    for (int j = first; j < nu; j++) {
      R[j + nu * j] = in->q[k] * (in->G[QUADRATIC + j - first] + 1e-6);
      r[j] = in->q[k] * in->G[LINEAR + j - first];
    }
    d_ocp_qp_set_R(k, R, &m->qp);
    d_ocp_qp_set_r(k, r, &m->qp);
    d_ocp_qp_set_lbu(k, low, &m->qp);
    d_ocp_qp_set_ubu(k, high, &m->qp);
    if (k < m->N) {
      for (int i = 0; i < NX; i++) b[i] = a->f[i] - m->X[(k + 1) * NX + i];
      d_ocp_qp_set_B(k, B, &m->qp);
      d_ocp_qp_set_b(k, b, &m->qp);
    }
    if (!k) continue;
    if (k < m->N) {
      d_ocp_qp_set_A(k, a->A, &m->qp);
      d_ocp_qp_set_S(k, S, &m->qp);
    }
    for (int i = 0; i < NC; i++) {
      low[i] = clow[i] - m->X[k * NX + CMD + i];
      high[i] = chigh[i] - m->X[k * NX + CMD + i];
    }
    for (int i = 0; i < NH; i++) lg[i] = -a->h[i];
    d_ocp_qp_set_Q(k, a->Q, &m->qp);
    d_ocp_qp_set_q(k, a->rx, &m->qp);
    d_ocp_qp_set_lbx(k, low, &m->qp);
    d_ocp_qp_set_ubx(k, high, &m->qp);
    d_ocp_qp_set_C(k, a->C, &m->qp);
    d_ocp_qp_set_lg(k, lg, &m->qp);
  }
}

/* Fetch the step and the multipliers; whether all of it is finite. */
static int fetch(mpc *m) {
  double sum = 0.0, u[NUS];
  for (int k = 0; k <= m->N; k++) {
    multipliers *y = m->mult + k;
    d_ocp_qp_sol_get_lam_lbu(k, &m->sol, y->lbu);
    d_ocp_qp_sol_get_lam_ubu(k, &m->sol, y->ubu);
    if (k < m->N) {
      d_ocp_qp_sol_get_u(k, &m->sol, u);
      d_ocp_qp_sol_get_pi(k, &m->sol, y->pi);
      for (int i = 0; i < NU; i++) sum += fabs(m->dU[k * NU + i] = u[i]);
    }
    if (k) {
      d_ocp_qp_sol_get_lam_lg(k, &m->sol, y->lg);
      d_ocp_qp_sol_get_lam_lbx(k, &m->sol, y->lbx);
      d_ocp_qp_sol_get_lam_ubx(k, &m->sol, y->ubx);
    }
    for (int i = 0; i < NX; i++) sum += fabs(y->pi[i]);
  }
  return isfinite(sum);
}

/* Solve the QP at the linearisation for dU and the multipliers; how it went. */
int quadratic_step(mpc *m, const given *in, int *qp_iterations) {
  int more, state;
  fill_qp(m, in);
  d_ocp_qp_ipm_solve(&m->qp, &m->sol, &m->arg, &m->ws);
  d_ocp_qp_ipm_get_iter(&m->ws, &more);
  d_ocp_qp_ipm_get_status(&m->ws, &state);
  *qp_iterations += more;
  int finite = fetch(m) && state != NAN_SOL;
  if (finite && (state == SUCCESS || state == MAX_ITER || state == MIN_STEP)) return OK;
  clear_qp(m);
  return finite ? QP_FAILED : NOT_FINITE;
}

/* Take the step as far as it lowers the cost, rolled out; returns the new cost. */
double take_step(mpc *m, const given *in, double cost, double *length) {
  *length = 1.0;
  for (int i = 0; i < HALVINGS; i++, *length *= 0.5) {
    for (int j = 0; j < m->N * NU; j++) m->U2[j] = m->U[j] + *length * m->dU[j];
    double next = roll(m, in, m->X2, m->U2, m->s2);
    if (next < cost) {
      memcpy(m->X, m->X2, (m->N + 1) * NX * sizeof(double));
      memcpy(m->U, m->U2, m->N * NU * sizeof(double));
      memcpy(m->s, m->s2, (m->N + 1) * NS * sizeof(double));
      return next;
    }
  }
  *length = 0.0;
  return cost;
}

/* Iterate from U until the KKT residual is below `tolerance`, at most `iterations` times.
 *
 * info: cost at the start, cost, KKT residual (of the point that the last QP was made at, or of the
 * solution when it converged), SQP iterations, QP iterations, last step's length.
 */
int mpc_solve(mpc *m, const given *in, double *X, double *U, double *s, int iterations,
              double tolerance, double *info) {
  int status = OK, qp_iterations = 0, count, done = 0;
  double residual = INFINITY, length = 1.0;
  memcpy(m->U, U, m->N * NU * sizeof(double));
  double cost = roll(m, in, m->X, m->U, m->s);
  info[0] = cost;
  if (!isfinite(cost)) return NOT_FINITE;
  for (count = 0; count < iterations && !done; count++) {
    linearise(m, in);
    if (count && (residual = kkt_residual(m, in)) < tolerance) break;
    if (count) add_bends(m); /* before the first QP there are no multipliers */
    int state = quadratic_step(m, in, &qp_iterations);
    if (state == NOT_FINITE) {
      status = NOT_FINITE;
      break;
    }
    if (state != OK) status = state;
    if (!count) residual = kkt_residual(m, in);
    cost = take_step(m, in, cost, &length);
    if (length == 0.0) {
      done = 1;
      linearise(m, in);
      residual = kkt_residual(m, in);
      if (residual > tolerance) status = NO_PROGRESS;
    }
  }
  memcpy(X, m->X, (m->N + 1) * NX * sizeof(double));
  memcpy(U, m->U, m->N * NU * sizeof(double));
  memcpy(s, m->s + NS, m->N * NS * sizeof(double));
  info[1] = cost, info[2] = residual, info[3] = count, info[4] = qp_iterations, info[5] = length;
  return status;
}
