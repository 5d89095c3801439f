// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How every front, plugin file or library of a C interface, opens the core, the one Go shared object of the
// process.
//
// It is opened RTLD_LOCAL, so that nobody's symbols meet ours, and never RTLD_DEEPBIND: deep binding makes
// the core read its own, zero copies of GStreamer's data (GST_TYPE_CAPS) in hosts that hold copy relocations
// of it. The file that includes this defines _GNU_SOURCE first.
#ifndef EW_OPEN_H
#define EW_OPEN_H

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <string.h>

#define EW_CORE "libedgewire.so.1"

// The Go linker marks its programs by a note of the name "Go".
static int main_program_is_go(struct dl_phdr_info *info, size_t size, void *data) {
  (void)size;
  int *yes = data;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
    if (ph->p_type != PT_NOTE)
      continue;
    const char *p = (const char *)(info->dlpi_addr + ph->p_vaddr), *end = p + ph->p_memsz;
    while (p + sizeof(ElfW(Nhdr)) <= end) {
      const ElfW(Nhdr) *n = (const void *)p;
      const char *name = p + sizeof *n;
      if (n->n_namesz >= 3 && name + n->n_namesz <= end && memcmp(name, "Go", 3) == 0)
        *yes = 1;
      p = name + ((n->n_namesz + 3) & ~3u) + ((n->n_descsz + 3) & ~3u);
    }
  }
  return 1; // the first object is the main program: no need to see the others
}

// ew_open_core opens the core, found by the RUNPATH of the file that this is compiled into; the Go runtime
// never unloads. NULL: *problem says why. A Go host is told to do what instead says.
static inline void *ew_open_core(const char *instead, const char **problem) {
  int go_host = 0;
  dl_iterate_phdr(main_program_is_go, &go_host);
  if (go_host) {
    *problem = instead;
    return NULL;
  }
  void *core = dlopen(EW_CORE, RTLD_NOW | RTLD_LOCAL);
  if (core == NULL)
    *problem = dlerror();
  return core;
}

#endif
