/* What the real-time iteration (rti.c), the KKT system (kkt.c), convergence (newton.c) and the
 * adjoint (adjoint.c) share.
 *
 * Sizes (NX, NU, NS, NH, NP, NG) come from the compiler's command line and the stage functions from
 * `model.c`, both written by planner/mpc/build.py. All matrices are column-major. A stage's QP
 * inputs are [jerk, steering rate, slacks]; stage 0 has no slacks and no states (x_0 is given), the
 * last one has slacks alone. Nothing here is static: solvers share no state.
 */
#ifndef RTI_H
#define RTI_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "blasfeo_target.h"
#include "blasfeo_common.h"
#include "hpipm_d_ocp_qp.h"
#include "hpipm_d_ocp_qp_dim.h"
#include "hpipm_d_ocp_qp_ipm.h"
#include "hpipm_d_ocp_qp_sol.h"
#include "model.h"

#define NUS (NU + NS)
#define NC 2             /* commands: the last states, with hard bounds */
#define CMD (NX - NC)
#define MAX_BLOCKS 16
#define HALVINGS 5       /* of the step, before it is given up */

enum status { OK = 0, QP_FAILED = 1, NOT_FINITE = 2, NO_PROGRESS = 3 };

typedef struct {
  double A[NX * NX], B[NX * NU], f[NX], R[NU * NU], S[NU * NX], Q[NX * NX];
  double ru[NU], rx[NX], C[NH * NX], h[NH], bend[NH]; /* bend: of the rows, in speed */
} stage;

typedef struct {
  double pi[NX], lg[NH], lbx[NC], ubx[NC], lbu[NUS], ubu[NUS];
} multipliers;

/* What is given anew with every call. */
typedef struct {
  const double *x0, *P, *G, *dt, *q, *bounds; /* bounds: lowest, highest inputs; commands */
  const double *vx, *vg, *vH;                 /* expansion of V, or NULL */
} given;

typedef struct {
  int N, num_blocks;
  void *blocks[MAX_BLOCKS];
  struct d_ocp_qp_dim dim;
  struct d_ocp_qp qp;
  struct d_ocp_qp_sol sol;
  struct d_ocp_qp_ipm_arg arg;
  struct d_ocp_qp_ipm_ws ws;
  void *qp_memory, *sol_memory, *ws_memory;
  stage *at;          /* N + 1 */
  multipliers *mult;  /* N + 1; pi of stage k belongs to the dynamics into k + 1 */
  double *X, *U, *s, *X2, *U2, *s2, *dU;
  int *family;        /* NH: the slack of each row */
  double *w;          /* of the stage functions */
  casadi_int *iw;
  struct node *nodes; /* N + 1, of kkt.c; NULL until they are asked for */
} mpc;

void *block(mpc *m, size_t bytes);
double roll(mpc *m, const given *in, double *X, double *U, double *s);
void linearise_stage(mpc *m, const given *in, int k);
void linearise(mpc *m, const given *in);
double kkt_residual(const mpc *m, const given *in);
int quadratic_step(mpc *m, const given *in, int *qp_iterations);
double take_step(mpc *m, const given *in, double cost, double *length);

#endif
