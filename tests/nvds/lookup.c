/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks the SDK's functions up while other threads load and unload libraries, as a pipeline does that starts: lookup
 * LIBRARY-OF-THE-SDK OTHER-LIBRARY... Ends with 0 when all is done, and with 1 when nothing moves any more.
 */
#define _GNU_SOURCE
#include "../../internal/nvdssdk/sdk.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { LOOK_UPS = 2000 };

static atomic_int found, loads, over;

static void *look_up(void *unused) {
  for (int i = 0; i < LOOK_UPS; i++) {
    EwNvdsSdk sdk;
    ew_nvds_resolve(&sdk);
    found += sdk.missing == NULL;
  }
  over = 1;
  return unused;
}

static void *load(void *library) {
  while (!over) {
    void *lib = dlopen(library, RTLD_LAZY | RTLD_LOCAL);
    if (lib != NULL)
      dlclose(lib);
    loads += lib != NULL;
  }
  return NULL;
}

int main(int argc, char **argv) {
  pthread_t threads[8];
  if (argc < 3 || argc > 8 || dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) == NULL)
    return 2;
  pthread_create(&threads[0], NULL, look_up, NULL);
  for (int i = 2; i < argc; i++)
    pthread_create(&threads[i], NULL, load, argv[i]);
  for (int idle = 0, before = -1; !over;) {
    usleep(50000);
    idle = found + loads == before ? idle + 1 : 0;
    before = found + loads;
    if (idle > 100) { /* five seconds without a single one */
      fprintf(stderr, "all stands still after %d look-ups and %d loads\n", found, loads);
      _exit(1);
    }
  }
  pthread_join(threads[0], NULL);
  for (int i = 2; i < argc; i++)
    pthread_join(threads[i], NULL);
  if (found != LOOK_UPS || loads == 0) {
    fprintf(stderr, "%d of %d look-ups, %d loads\n", found, LOOK_UPS, loads);
    return 1;
  }
  return 0;
}
