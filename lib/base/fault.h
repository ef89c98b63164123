/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault - named places at which a test may make the program fail.
 *
 *   TM_FAULT("vault.commit.created");
 *
 * Compiled in by -Dfault_points=true, else nothing at all. Armed by the environment:
 * TM_FAULTS=vault.commit.created:crash@3 kills the process (SIGKILL) at the third pass;
 * `name:fail@N` makes TM_FAULT_FAILS(name) true at the Nth pass, `name:fail` at each; `name:stop@N` stops the
 * process there (SIGSTOP) until the test lets it go on; `name:hang@N` lets that thread hang for ever.
 * Several are separated by commas. TM_FAULTS_LIST=FILE appends each name at its first pass, so that
 * a driver learns which there are.
 *
 * Threads: any.
 */
#ifndef TM_BASE_FAULT_H
#define TM_BASE_FAULT_H

#include <stdbool.h>

#ifdef TM_FAULT_POINTS
bool tm_fault_pass(const char *name); /* count a pass; crash if so armed; true: should fail */
#define TM_FAULT(name)       ((void)tm_fault_pass(name))
#define TM_FAULT_FAILS(name) tm_fault_pass(name)
#else
#define TM_FAULT(name)       ((void)0)
#define TM_FAULT_FAILS(name) false
#endif

#endif
