// SPDX-License-Identifier: LGPL-2.1-or-later

// Command gohost is a Go program that tries to load a plugin file: it must be refused.
package main

/*
#cgo pkg-config: gstreamer-1.0
#include <gst/gst.h>
#include <stdio.h>
static int load(const char *file) {
  GError *error = NULL;
  gst_init(NULL, NULL);
  GstPlugin *p = gst_plugin_load_file(file, &error);
  if (p == NULL) {
    fprintf(stderr, "%s\n", error->message);
    return 1;
  }
  return 0;
}
*/
import "C"

import "os"

func main() { os.Exit(int(C.load(C.CString(os.Args[1])))) }
