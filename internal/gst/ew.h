// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C half of the layer: one generic class_init, trampolines into Go, and the
// few helpers that must be one C call (locks that belong to an OS thread, macros).
#ifndef EW_H
#define EW_H

#include <gst/gst.h>
#include <gst/base/gstbasesink.h>
#include <gst/base/gstbasetransform.h>
#include <gst/base/gstpushsrc.h>
#include <stdint.h>

typedef uintptr_t EwHandle;

typedef struct EwClass_ EwClass;

// Behind each parent struct stands this tail: the handle of the Go instance at
// a fixed offset, so that a hot vfunc needs no look-up to find it.
typedef struct {
  EwHandle handle; // 0 once the instance is finalized
  EwClass *klass;
  gint generate; // BaseTransform: submit_input_buffer/generate_output go to Go
  gboolean broken; // the Go instance could not be made
  gboolean (*keep_shared)(GstBuffer *); // BaseTransform: true for a buffer that may stay shared; or NULL
  gboolean (*skip)(GstBuffer *); // BaseTransform: true for a buffer that transform_ip need not see; or NULL
  gint skips; // whether skip is asked
  guint64 skipped; // of the streaming thread
} EwTail;

typedef struct { GstElement parent; EwTail tail; } EwElement;
typedef struct { GstBin parent; EwTail tail; } EwBin;
typedef struct { GstBaseTransform parent; EwTail tail; } EwBaseTransform;
typedef struct { GstBaseSink parent; EwTail tail; } EwBaseSink;
typedef struct { GstPushSrc parent; EwTail tail; } EwPushSrc;

enum {
  EW_PARENT_ELEMENT,
  EW_PARENT_BIN,
  EW_PARENT_BASE_TRANSFORM,
  EW_PARENT_BASE_SINK,
  EW_PARENT_PUSH_SRC,
};

// Which vfuncs the Go instance implements. An unset one stays the parent's.
enum {
  EW_CHANGE_STATE = 1 << 0,
  EW_REQUEST_PAD = 1 << 1,
  EW_START_STOP = 1 << 2,
  EW_SET_CAPS = 1 << 3,
  EW_TRANSFORM_IP = 1 << 4,
  EW_TRANSFORM_CAPS = 1 << 5,
  EW_GENERATE = 1 << 6,
  EW_SINK_EVENT = 1 << 7,
  EW_SRC_EVENT = 1 << 8,
  EW_QUERY = 1 << 9,
  EW_RENDER = 1 << 10,
  EW_RENDER_LIST = 1 << 11,
  EW_UNLOCK = 1 << 12,
  EW_CREATE = 1 << 13,
  EW_SRC_CAPS = 1 << 14,
};

// Which of an element's event or query functions is meant.
enum { EW_SIDE_SINK, EW_SIDE_SRC };

typedef struct {
  const char *name, *caps;
  GstPadDirection direction;
  GstPadPresence presence;
} EwPadTemplate;

enum { EW_ACC_NONE, EW_ACC_FIRST_NON_NULL, EW_ACC_TRUE_HANDLED, EW_ACC_ALL_TRUE, EW_ACC_FIRST_WINS };

typedef struct {
  const char *name;
  GType ret;
  guint n_params;
  GType *params;
  gboolean action, handler;
  int accumulator;
  guint id; // set by class_init
} EwSignal;

struct EwClass_ {
  guint index; // Go's number of the class
  int parent;
  guint flags;
  GType type;
  gpointer parent_class; // set by class_init
  const char *long_name, *klass, *description, *author;
  guint n_pads, n_props, n_signals;
  EwPadTemplate *pads;
  GParamSpec **props;
  EwSignal *signals;
};

GType ew_register_type(const char *name, EwClass *klass);
EwClass *ew_class_of(gpointer object);
EwHandle ew_handle_of(gpointer object);
void ew_set_generate(gpointer object, gboolean on);
void ew_set_keep_shared(gpointer object, gpointer keep);
guint64 *ew_set_skip(gpointer object, gpointer skip);
void ew_set_skips(gpointer object, gboolean on);

// Faults: see fault.c.
void ew_fault_remember(guintptr from, guintptr to);
void ew_fault_ensure(void);

// Chain-ups.
GstStateChangeReturn ew_parent_change_state(gpointer object, GstStateChange t);
gboolean ew_parent_event(gpointer object, int side, GstEvent *event);
gboolean ew_parent_query(gpointer object, int side, GstQuery *query);

// Values.
GType ew_value_type(const GValue *v);
GType ew_type_strv(void);
GType ew_type_bytes(void);
// Bytes come as guint8*: for a void* cgo would inspect the whole Go object that holds them.
void ew_value_take_bytes(GValue *v, const guint8 *data, gsize size);

// Elements.
void ew_element_message_full(gpointer element, GstMessageType type, GQuark domain, gint code, char *text,
    char *debug, const char *file, const char *function, gint line);
gboolean ew_post_element_message(gpointer element, GstStructure *structure);
GstFlowReturn ew_src_flow(gpointer element);
gboolean ew_src_flushing(gpointer element);
gboolean ew_src_once_more(gpointer element);
// gone is told when the message is freed.
gboolean ew_post_element_message_then(gpointer element, GstStructure *structure, EwHandle gone);
void ew_notify(gpointer object, const char *name);
void ew_emit(gpointer object, guint id, guint n, GValue *args, GValue *ret);
gchar *ew_object_name(gpointer object);
GQuark ew_domain(int which);
gboolean ew_running_time(gpointer element, guint64 *now);
gboolean ew_has_ancestor(gpointer element, const char *type_name);

// Pads.
enum {
  EW_PAD_CHAIN = 1 << 0,
  EW_PAD_CHAIN_LIST = 1 << 1,
  EW_PAD_EVENT = 1 << 2,
  EW_PAD_QUERY = 1 << 3,
  EW_PAD_ACTIVATE_MODE = 1 << 4,
};
GstPad *ew_pad_new(gpointer element, const char *template_name, const char *name, EwHandle handle, guint flags);
GstPad *ew_ghost_pad_new(gpointer element, const char *template_name, const char *name, GstPad *target, EwHandle handle);
GstFlowReturn ew_pad_push_locked(GstPad *pad, GstBuffer *buffer);
void ew_pad_cut(GstPad *pad, gint64 wait_us);
GstFlowReturn ew_pad_push_list_locked(GstPad *pad, GstBufferList *list);
gboolean ew_pad_push_event_locked(GstPad *pad, GstEvent *event);
void ew_push_gap(gpointer transform, guint64 pts, guint64 duration);
gboolean ew_add_pad(gpointer element, GstPad *pad);
gboolean ew_remove_pad(gpointer element, GstPad *pad);
gboolean ew_has_pad(gpointer element, const char *name);
EwHandle ew_pad_handle(GstPad *pad);

// Mini objects.
void ew_mini_ref(gpointer p);
void ew_mini_unref(gpointer p);
gboolean ew_mini_writable(gpointer p);
GstBuffer *ew_buffer_new_copy(const guint8 *data, gsize size);
// By value, so that Go needs no memory of its own for it.
typedef struct { GstMapInfo info; gboolean ok; } EwMap;
EwMap ew_buffer_map(GstBuffer *b, gboolean write);
void ew_buffer_unmap(GstBuffer *b, EwMap map);

// Debug.
void ew_debug_log(GstDebugCategory *cat, GstDebugLevel level, const char *file, const char *function, gint line,
    gpointer object, const char *text);

// Plugins.
gboolean ew_element_register(gpointer plugin, const char *name, guint rank, GType type);
gboolean ew_plugin_register_static(const char *name, const char *description, const char *version,
    const char *license, const char *source, const char *package, const char *origin, guint index);

#endif
