/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef EW_ALLOCS_H
#define EW_ALLOCS_H

#include <glib.h>

gboolean ew_allocs_init(void);
char *ew_allocs_play(const char *description);
guint64 ew_allocs_count(void);

#endif
