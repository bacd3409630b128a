/*
 * What the keeper and the runner say to each other. Private to proxy/keeper/runner*.c.
 *
 *   keeper → runner                                              runner → keeper
 *   START number, milliseconds, output_max, command, variables   DONE number, status, output,
 * reason CANCEL number REREAD
 */
#ifndef ECLUSE_KEEPER_RUNNER_FRAMES_H
#define ECLUSE_KEEPER_RUNNER_FRAMES_H

enum runner_frame { RUNNER_START = 1, RUNNER_CANCEL, RUNNER_REREAD, RUNNER_DONE };

#define RUNNER_FRAME_MAX     (64u * 1024)
#define RUNNER_QUEUE_MAX     (1024u * 1024)
#define RUNNER_VARIABLES_MAX 4u

#endif
