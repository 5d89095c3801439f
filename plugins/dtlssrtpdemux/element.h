// SPDX-License-Identifier: LGPL-2.1-or-later
#ifndef EW_DTLSSRTPDEMUX_H
#define EW_DTLSSRTPDEMUX_H

#include "../srtp/demux.h"

typedef struct EwDemux_ EwDemux;

EwDemux *ew_demux_new(gpointer sink, gpointer rtp, gpointer dtls, gpointer category);
void ew_demux_unref(EwDemux *d);
guint64 ew_demux_dropped(EwDemux *d, EwFirst first);

#endif
