// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Go turns a fault in its code (a nil pointer) into a panic, by a SIGSEGV
// handler that it installs when it is loaded. GStreamer puts a handler of its
// own there while it loads a plugin file, and the one from before back when it
// has: Go's is lost, and the fault would end the process. So a handler of ours
// is put there once an element is made. It gives Go the faults of Go's code, and
// all others to whom they went before.
#define _GNU_SOURCE
#include "ew.h"
#include <dlfcn.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

static struct sigaction go_action, host_action;
static guintptr text_from, text_to; // Go's code
static gboolean known;
static GMutex lock;

#if defined(__x86_64__)
#define PC(uc) ((guintptr)(uc)->uc_mcontext.gregs[REG_RIP])
#elif defined(__aarch64__)
#define PC(uc) ((guintptr)(uc)->uc_mcontext.pc)
#endif

#ifdef PC
static void on_fault(int sig, siginfo_t *info, void *context) {
  guintptr pc = PC((ucontext_t *)context);
  if (pc >= text_from && pc < text_to)
    go_action.sa_sigaction(sig, info, context);
  else if (host_action.sa_flags & SA_SIGINFO)
    host_action.sa_sigaction(sig, info, context);
  else if (host_action.sa_handler == SIG_DFL || host_action.sa_handler == SIG_IGN)
    sigaction(sig, &host_action, NULL); // the instruction faults again
  else
    host_action.sa_handler(sig);
}

// Called when the core was loaded; later calls find another's handler.
void ew_fault_remember(guintptr from, guintptr to) {
  struct sigaction now;
  Dl_info handler, us;
  g_mutex_lock(&lock);
  if (!known && from < to && sigaction(SIGSEGV, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
      dladdr((gpointer)now.sa_sigaction, &handler) != 0 && dladdr((gpointer)ew_fault_remember, &us) != 0 &&
      handler.dli_fbase == us.dli_fbase) {
    go_action = now;
    text_from = from;
    text_to = to;
    known = TRUE;
  }
  g_mutex_unlock(&lock);
}

void ew_fault_ensure(void) {
  struct sigaction now;
  g_mutex_lock(&lock);
  if (known && sigaction(SIGSEGV, NULL, &now) == 0 &&
      !((now.sa_flags & SA_SIGINFO) && (now.sa_sigaction == go_action.sa_sigaction || now.sa_sigaction == on_fault))) {
    struct sigaction ours = go_action; // its flags and mask: Go needs the alternate stack
    ours.sa_sigaction = on_fault;
    host_action = now;
    sigaction(SIGSEGV, &ours, NULL);
  }
  g_mutex_unlock(&lock);
}
#else
void ew_fault_remember(guintptr from, guintptr to) {
  (void)from;
  (void)to;
}
void ew_fault_ensure(void) {}
#endif
