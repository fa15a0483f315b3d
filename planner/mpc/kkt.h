/* The KKT system of the whole horizon with the exact Hessian of the Lagrangian, and what it holds of
 * each stage. A constraint is held (an equality) or left out; which is said by the sides and rows.
 */
#ifndef KKT_H
#define KKT_H

#include "rti.h"

typedef struct node {
  int input_side[NU], command_side[NC]; /* -1 held at the lowest, 1 at the highest, 0 free */
  int row[NH];                          /* whether a soft row is held */
  int chief[NS]; /* the held row that a slack above zero follows, -1 where the slack is zero */
  int num_held, held[NH]; /* rows that are held beside the chiefs, and their directions */
  double toward[NH * NX];
  double P[NX * NX], K[NU * NX], inverse[NU * NU]; /* of the Riccati recursion */
  double p[NX], ff[NU];
  double gu[NU], gx[NX], gs[NS];                    /* right-hand side: gradient, */
  double off_u[NU], off_c[NC], off_h[NH], off_s[NS]; /* and how far off held constraints are */
  double du[NU], dx[NX], ds[NS], pi[NX];            /* solution: step and multipliers */
  double on_u[NU], on_c[NC], lg[NH], ls[NS];
} node;

int kkt_ready(mpc *m);
void curve_stage(mpc *m, const given *in, int k);
double hold(mpc *m, const given *in);
int factorise(mpc *m, const given *in);
void solve_held(mpc *m, const given *in);
int mpc_converge(mpc *m, const given *in, double *X, double *U, double *s, double *duals,
                 int iterations, double tolerance, double *info);

#endif
