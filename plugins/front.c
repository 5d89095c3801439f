// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A plugin file is this front, compiled once per plugin with EW_PLUGIN set to
// its name. It opens the core, the one Go shared object of the process, and
// lets it register the plugin's elements.
#define _GNU_SOURCE
#include "../core/open.h"

#include <gst/gst.h>
#include <stdlib.h>

#define STRING2(x) #x
#define STRING(x) STRING2(x)

static gboolean plugin_init(GstPlugin *plugin) {
  const char *problem = "";
  void *core = ew_open_core("this process is a Go program: a second Go runtime would disturb it. Link the elements in instead: "
                            "import github.com/gst-edgewire/gst-edgewire/plugins/all and call all.Register()", &problem);
  if (core == NULL) {
    GST_ERROR_OBJECT(plugin, "cannot open the core: %s", problem);
    return FALSE;
  }
  char *(*reg)(GstPlugin *, const char *) = (char *(*)(GstPlugin *, const char *))dlsym(core, "edgewire_register");
  if (reg == NULL) {
    GST_ERROR_OBJECT(plugin, EW_CORE " is not ours: %s", dlerror());
    return FALSE;
  }
  char *refusal = reg(plugin, STRING(EW_PLUGIN));
  if (refusal != NULL) {
    GST_ERROR_OBJECT(plugin, "%s", refusal);
    free(refusal);
    return FALSE;
  }
  return TRUE;
}

#define PACKAGE EW_PACKAGE
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, EW_PLUGIN, EW_DESCRIPTION, plugin_init, EW_VERSION, "LGPL",
    EW_PACKAGE, EW_ORIGIN)
