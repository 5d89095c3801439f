// SPDX-License-Identifier: LGPL-2.1-or-later
#ifndef EW_MSG2P_H
#define EW_MSG2P_H

#include "nvds_msg2p.h"

// The functions of a converter library. What it does not export is NULL.
typedef struct {
  NvDsMsg2pCtx *(*create)(const gchar *file, NvDsPayloadType type);
  void (*destroy)(NvDsMsg2pCtx *ctx);
  NvDsPayload *(*generate)(NvDsMsg2pCtx *ctx, NvDsEvent *events, guint n);
  NvDsPayload **(*generate_multiple)(NvDsMsg2pCtx *ctx, NvDsEvent *events, guint n, guint *count);
  NvDsPayload *(*generate_new)(NvDsMsg2pCtx *ctx, void *info);
  NvDsPayload **(*generate_multiple_new)(NvDsMsg2pCtx *ctx, void *info, guint *count);
  void (*release)(NvDsMsg2pCtx *ctx, NvDsPayload *payload);
} EwMsg2p;

// What a call of the library gave. list is its array, or &one.
typedef struct {
  NvDsPayload **list;
  NvDsPayload *one;
  guint count;
} EwMsg2pResult;

// An NvDsEvent whose pointer is a number: Go memory without pointers.
typedef struct {
  gint32 type, padding;
  guint64 meta;
} EwMsg2pEvent;

gchar *ew_msg2p_open(const char *path, EwMsg2p *lib, gchar **lazy);
NvDsMsg2pCtx *ew_msg2p_create(const EwMsg2p *lib, const char *file, gint type);
void ew_msg2p_destroy(const EwMsg2p *lib, NvDsMsg2pCtx *ctx);
void ew_msg2p_events(const EwMsg2p *lib, NvDsMsg2pCtx *ctx, const EwMsg2pEvent *events, guint n, gboolean multiple, EwMsg2pResult *r);
void ew_msg2p_frame(const EwMsg2p *lib, NvDsMsg2pCtx *ctx, guint64 object, guint64 frame, gboolean audio, gboolean multiple, EwMsg2pResult *r);
void ew_msg2p_release(const EwMsg2p *lib, NvDsMsg2pCtx *ctx, EwMsg2pResult *r);

#endif
