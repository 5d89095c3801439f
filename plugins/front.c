// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A plugin file is this front, compiled once per plugin with EW_PLUGIN set to
// its name. It opens the core, the one Go shared object of the process, and
// lets it register the plugin's elements.
//
// The core is opened RTLD_LOCAL, so that nobody's symbols meet ours, and never
// RTLD_DEEPBIND: deep binding makes the core read its own, zero copies of
// GStreamer's data (GST_TYPE_CAPS) in hosts that hold copy relocations of it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <gst/gst.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#define EW_CORE "libedgewire.so.1"
#define STRING2(x) #x
#define STRING(x) STRING2(x)

// The Go linker marks its programs by a note of the name "Go".
static int main_program_is_go(struct dl_phdr_info *info, size_t size, void *data) {
  (void)size;
  gboolean *yes = data;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
    if (ph->p_type != PT_NOTE)
      continue;
    const char *p = (const char *)(info->dlpi_addr + ph->p_vaddr), *end = p + ph->p_memsz;
    while (p + sizeof(ElfW(Nhdr)) <= end) {
      const ElfW(Nhdr) *n = (const void *)p;
      const char *name = p + sizeof *n;
      if (n->n_namesz >= 3 && name + n->n_namesz <= end && memcmp(name, "Go", 3) == 0)
        *yes = TRUE;
      p = name + ((n->n_namesz + 3) & ~3u) + ((n->n_descsz + 3) & ~3u);
    }
  }
  return 1; // the first object is the main program: no need to see the others
}

static gboolean plugin_init(GstPlugin *plugin) {
  gboolean go_host = FALSE;
  dl_iterate_phdr(main_program_is_go, &go_host);
  if (go_host) {
    GST_ERROR_OBJECT(plugin, "this process is a Go program: a second Go runtime would disturb it. Link the elements in "
                             "instead: import github.com/gst-edgewire/gst-edgewire/plugins/all and call all.Register()");
    return FALSE;
  }
  // Found by this file's RUNPATH; the Go runtime never unloads.
  void *core = dlopen(EW_CORE, RTLD_NOW | RTLD_LOCAL);
  if (core == NULL) {
    GST_ERROR_OBJECT(plugin, "cannot open the core: %s", dlerror());
    return FALSE;
  }
  char *(*reg)(GstPlugin *, const char *) = (char *(*)(GstPlugin *, const char *))dlsym(core, "edgewire_register");
  if (reg == NULL) {
    GST_ERROR_OBJECT(plugin, EW_CORE " is not ours: %s", dlerror());
    return FALSE;
  }
  char *problem = reg(plugin, STRING(EW_PLUGIN));
  if (problem != NULL) {
    GST_ERROR_OBJECT(plugin, "%s", problem);
    free(problem);
    return FALSE;
  }
  return TRUE;
}

#define PACKAGE EW_PACKAGE
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, EW_PLUGIN, EW_DESCRIPTION, plugin_init, EW_VERSION, "LGPL",
    EW_PACKAGE, EW_ORIGIN)
