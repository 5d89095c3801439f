// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One class_init for every element: the vfuncs that its flags name become
// trampolines, the others stay the parent's.
#include "ew.h"
#include "_cgo_export.h"

static GQuark class_quark(void) {
  return g_quark_from_static_string("edgewire-class");
}

EwClass *ew_class_of(gpointer object) {
  GType t = G_OBJECT_TYPE(object);
  EwClass *c = NULL;
  // A host may have made a subclass of ours (Python does so easily).
  while (t != 0 && (c = g_type_get_qdata(t, class_quark())) == NULL)
    t = g_type_parent(t);
  g_assert(c != NULL);
  return c;
}

static EwTail *tail_of(EwClass *c, gpointer object) {
  switch (c->parent) {
    case EW_PARENT_BIN:
      return &((EwBin *)object)->tail;
    case EW_PARENT_BASE_TRANSFORM:
      return &((EwBaseTransform *)object)->tail;
    case EW_PARENT_BASE_SINK:
      return &((EwBaseSink *)object)->tail;
    case EW_PARENT_PUSH_SRC:
      return &((EwPushSrc *)object)->tail;
    default:
      return &((EwElement *)object)->tail;
  }
}

EwHandle ew_handle_of(gpointer object) {
  return tail_of(ew_class_of(object), object)->handle;
}

void ew_set_generate(gpointer object, gboolean on) {
  g_atomic_int_set(&tail_of(ew_class_of(object), object)->generate, on);
}

void ew_set_keep_shared(gpointer object, gpointer keep) {
  tail_of(ew_class_of(object), object)->keep_shared = (gboolean(*)(GstBuffer *))keep;
}

guint64 *ew_set_skip(gpointer object, gpointer skip) {
  EwTail *tail = tail_of(ew_class_of(object), object);
  tail->skip = (gboolean(*)(GstBuffer *))skip;
  return &tail->skipped;
}

void ew_set_skips(gpointer object, gboolean on) {
  g_atomic_int_set(&tail_of(ew_class_of(object), object)->skips, on);
}

static void instance_init(GTypeInstance *instance, gpointer g_class) {
  (void)g_class;
  EwClass *c = ew_class_of(instance);
  EwTail *tail = tail_of(c, instance);
  tail->klass = c;
  ew_fault_ensure();
  // Go stores the handle before it makes the instance: New may come back here.
  ewGoInit(c->index, instance, &tail->handle, &tail->broken);
}

static void finalize(GObject *object) {
  EwClass *c = ew_class_of(object);
  EwTail *tail = tail_of(c, object);
  ewGoFinalize(tail->handle);
  tail->handle = 0; // what the parent still calls finds no instance
  G_OBJECT_CLASS(c->parent_class)->finalize(object);
}

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec) {
  (void)spec;
  ewGoSetProperty(ew_handle_of(object), id, (GValue *)value);
}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *spec) {
  (void)spec;
  ewGoGetProperty(ew_handle_of(object), id, value);
}

// Installed in every class: an instance that Go could not make must refuse to start.
static GstStateChangeReturn change_state(GstElement *e, GstStateChange t) {
  EwClass *c = ew_class_of(e);
  EwTail *tail = tail_of(c, e);
  if (t == GST_STATE_CHANGE_NULL_TO_READY)
    ew_fault_ensure(); // other plugins may have been loaded since
  if (tail->broken || (c->flags & EW_CHANGE_STATE))
    return ewGoChangeState(tail->handle, t);
  return GST_ELEMENT_CLASS(c->parent_class)->change_state(e, t);
}

GstStateChangeReturn ew_parent_change_state(gpointer object, GstStateChange t) {
  return GST_ELEMENT_CLASS(ew_class_of(object)->parent_class)->change_state(object, t);
}

static GstPad *request_new_pad(GstElement *e, GstPadTemplate *t, const gchar *name, const GstCaps *caps) {
  return ewGoRequestPad(ew_handle_of(e), (gchar *)GST_PAD_TEMPLATE_NAME_TEMPLATE(t), (gchar *)name, (gpointer)caps);
}

static void release_pad(GstElement *e, GstPad *pad) {
  gst_object_ref(pad);
  ewGoReleasePad(ew_handle_of(e), ew_pad_handle(pad));
  // The pad goes even if the instance failed: the element's dispose waits for that.
  if (gst_object_has_as_parent(GST_OBJECT(pad), GST_OBJECT(e)))
    ew_remove_pad(e, pad);
  gst_object_unref(pad);
}

// However a pad leaves the element, Go's reference to it goes too.
static void pad_removed(GstElement *e, GstPad *pad) {
  GstElementClass *parent = GST_ELEMENT_CLASS(ew_class_of(e)->parent_class);
  EwHandle h = ew_pad_handle(pad);
  if (h != 0)
    ewGoPadRemoved(h);
  if (parent->pad_removed != NULL)
    parent->pad_removed(e, pad);
}

// BaseTransform

static gboolean bt_start(GstBaseTransform *t) {
  if (((EwBaseTransform *)t)->tail.klass->flags & EW_TRANSFORM_IP)
    gst_base_transform_set_passthrough(t, FALSE); // see bt_submit_input_buffer
  return ewGoStart(((EwBaseTransform *)t)->tail.handle);
}
static gboolean bt_stop(GstBaseTransform *t) { return ewGoStop(((EwBaseTransform *)t)->tail.handle); }
static gboolean bt_set_caps(GstBaseTransform *t, GstCaps *in, GstCaps *out) {
  if (((EwBaseTransform *)t)->tail.klass->flags & EW_TRANSFORM_IP)
    gst_base_transform_set_passthrough(t, FALSE); // see bt_submit_input_buffer
  return ewGoSetCaps(((EwBaseTransform *)t)->tail.handle, in, out);
}
static GstFlowReturn bt_transform_ip(GstBaseTransform *t, GstBuffer *b) {
  EwTail *tail = &((EwBaseTransform *)t)->tail;
  if (g_atomic_int_get(&tail->skips) && tail->skip(b)) { // not worth the way into Go
    tail->skipped++;
    return GST_FLOW_OK;
  }
  return ewGoTransformIP(((EwBaseTransform *)t)->tail.handle, b);
}
static GstCaps *bt_transform_caps(GstBaseTransform *t, GstPadDirection d, GstCaps *caps, GstCaps *filter) {
  GstCaps *out = ewGoTransformCaps(((EwBaseTransform *)t)->tail.handle, d, caps);
  if (out == NULL)
    return gst_caps_new_empty(); // basetransform does not expect NULL
  if (filter != NULL) {
    GstCaps *all = out;
    out = gst_caps_intersect_full(filter, all, GST_CAPS_INTERSECT_FIRST);
    gst_caps_unref(all);
  }
  return out;
}

static GstFlowReturn bt_prepare_output_buffer(GstBaseTransform *t, GstBuffer *in, GstBuffer **out) {
  (void)t;
  *out = in; // made writable by bt_submit_input_buffer
  return GST_FLOW_OK;
}

// The media passes untouched, so upstream may use downstream's own pool and
// learn which metas downstream takes.
static gboolean bt_propose_allocation(GstBaseTransform *t, GstQuery *decide, GstQuery *query) {
  EwBaseTransform *self = (EwBaseTransform *)t;
  if (!g_atomic_int_get(&self->tail.generate))
    return gst_pad_peer_query(GST_BASE_TRANSFORM_SRC_PAD(t), query);
  return GST_BASE_TRANSFORM_CLASS(self->tail.klass->parent_class)->propose_allocation(t, decide, query);
}

static GstFlowReturn bt_submit_input_buffer(GstBaseTransform *t, gboolean discont, GstBuffer *buffer) {
  EwBaseTransform *self = (EwBaseTransform *)t;
  GstPad *src = GST_BASE_TRANSFORM_SRC_PAD(t);
  // The parent's function would renegotiate, but only there: in Generate mode it
  // is not called, and the mode may change by it, so it must come first.
  if (GST_PAD_NEEDS_RECONFIGURE(src) && !gst_base_transform_reconfigure(t)) {
    gst_buffer_unref(buffer);
    return GST_PAD_IS_FLUSHING(src) ? GST_FLOW_FLUSHING : GST_FLOW_NOT_NEGOTIATED;
  }
  if (g_atomic_int_get(&self->tail.generate))
    return ewGoSubmitInput(self->tail.handle, discont, buffer);
  // A buffer that others hold too gets a shallow copy here: the metas become
  // ours, the memory stays shared. Left to basetransform, an output buffer that
  // is not the input is mapped for writing, which copies the whole media.
  if (self->tail.klass->flags & EW_TRANSFORM_IP) {
    if (self->tail.keep_shared == NULL || gst_buffer_is_writable(buffer) || !self->tail.keep_shared(buffer))
      buffer = gst_buffer_make_writable(buffer);
    // basetransform refuses buffers that come without any caps as soon as a
    // class has set_caps, unless it passes them through: then it does, and
    // transform_ip still sees them. What downstream demands of its caps nobody
    // could then keep: raw media would pass for messages.
    if (!gst_base_transform_is_passthrough(t) && !gst_pad_has_current_caps(GST_BASE_TRANSFORM_SINK_PAD(t))) {
      GstCaps *wanted = gst_pad_peer_query_caps(src, NULL);
      gboolean any = wanted != NULL && gst_caps_is_any(wanted);
      gst_clear_caps(&wanted);
      if (!any) {
        gst_buffer_unref(buffer);
        GST_ELEMENT_ERROR(t, STREAM, FORMAT,
            ("%s: the stream has no caps, and downstream demands some: put a capsfilter before this element",
                GST_OBJECT_NAME(t)), (NULL));
        return GST_FLOW_NOT_NEGOTIATED;
      }
      gst_base_transform_set_passthrough(t, TRUE);
    }
  }
  return GST_BASE_TRANSFORM_CLASS(self->tail.klass->parent_class)->submit_input_buffer(t, discont, buffer);
}

static GstFlowReturn bt_generate_output(GstBaseTransform *t, GstBuffer **out) {
  EwBaseTransform *self = (EwBaseTransform *)t;
  if (!g_atomic_int_get(&self->tail.generate))
    return GST_BASE_TRANSFORM_CLASS(self->tail.klass->parent_class)->generate_output(t, out);
  return ewGoGenerateOutput(self->tail.handle, out);
}

static gboolean bt_sink_event(GstBaseTransform *t, GstEvent *e) {
  return ewGoEvent(((EwBaseTransform *)t)->tail.handle, EW_SIDE_SINK, e);
}
static gboolean bt_src_event(GstBaseTransform *t, GstEvent *e) {
  return ewGoEvent(((EwBaseTransform *)t)->tail.handle, EW_SIDE_SRC, e);
}
static gboolean bt_query(GstBaseTransform *t, GstPadDirection d, GstQuery *q) {
  return ewGoQuery(((EwBaseTransform *)t)->tail.handle, d == GST_PAD_SINK ? EW_SIDE_SINK : EW_SIDE_SRC, q);
}

// BaseSink

static gboolean bs_start(GstBaseSink *s) { return ewGoStart(((EwBaseSink *)s)->tail.handle); }
static gboolean bs_stop(GstBaseSink *s) { return ewGoStop(((EwBaseSink *)s)->tail.handle); }
static gboolean bs_set_caps(GstBaseSink *s, GstCaps *c) {
  return ewGoSetCaps(((EwBaseSink *)s)->tail.handle, c, NULL);
}
static GstFlowReturn bs_render(GstBaseSink *s, GstBuffer *b) {
  return ewGoRender(((EwBaseSink *)s)->tail.handle, b);
}
static GstFlowReturn bs_render_list(GstBaseSink *s, GstBufferList *l) {
  return ewGoRenderList(((EwBaseSink *)s)->tail.handle, l);
}
static gboolean bs_unlock(GstBaseSink *s) { return ewGoUnlock(((EwBaseSink *)s)->tail.handle, TRUE); }
static gboolean bs_unlock_stop(GstBaseSink *s) { return ewGoUnlock(((EwBaseSink *)s)->tail.handle, FALSE); }
static gboolean bs_event(GstBaseSink *s, GstEvent *e) {
  return ewGoEvent(((EwBaseSink *)s)->tail.handle, EW_SIDE_SINK, e);
}
static gboolean bs_query(GstBaseSink *s, GstQuery *q) {
  return ewGoQuery(((EwBaseSink *)s)->tail.handle, EW_SIDE_SINK, q);
}

// PushSrc

static gboolean ps_start(GstBaseSrc *s) { return ewGoStart(((EwPushSrc *)s)->tail.handle); }
static gboolean ps_stop(GstBaseSrc *s) { return ewGoStop(((EwPushSrc *)s)->tail.handle); }
static gboolean ps_set_caps(GstBaseSrc *s, GstCaps *c) {
  return ewGoSetCaps(((EwPushSrc *)s)->tail.handle, c, NULL);
}
static gboolean ps_unlock(GstBaseSrc *s) { return ewGoUnlock(((EwPushSrc *)s)->tail.handle, TRUE); }
static gboolean ps_unlock_stop(GstBaseSrc *s) { return ewGoUnlock(((EwPushSrc *)s)->tail.handle, FALSE); }
static GstFlowReturn ps_create(GstPushSrc *s, GstBuffer **out) {
  return ewGoCreate(((EwPushSrc *)s)->tail.handle, out);
}
static gboolean ps_event(GstBaseSrc *s, GstEvent *e) {
  // basesrc does not hand the event over, the others do: make them alike.
  return ewGoEvent(((EwPushSrc *)s)->tail.handle, EW_SIDE_SRC, gst_event_ref(e));
}
static GstCaps *ps_get_caps(GstBaseSrc *s, GstCaps *filter) {
  GstCaps *caps = ewGoSrcCaps(((EwPushSrc *)s)->tail.handle), *both;
  if (caps == NULL)
    caps = gst_caps_new_empty();
  if (filter == NULL)
    return caps;
  both = gst_caps_intersect_full(filter, caps, GST_CAPS_INTERSECT_FIRST);
  gst_caps_unref(caps);
  return both;
}
static gboolean ps_query(GstBaseSrc *s, GstQuery *q) {
  return ewGoQuery(((EwPushSrc *)s)->tail.handle, EW_SIDE_SRC, q);
}

gboolean ew_parent_event(gpointer object, int side, GstEvent *event) {
  EwClass *c = ew_class_of(object);
  gboolean ok;
  switch (c->parent) {
    case EW_PARENT_BASE_TRANSFORM: {
      GstBaseTransformClass *k = GST_BASE_TRANSFORM_CLASS(c->parent_class);
      return side == EW_SIDE_SINK ? k->sink_event(object, event) : k->src_event(object, event);
    }
    case EW_PARENT_BASE_SINK:
      return GST_BASE_SINK_CLASS(c->parent_class)->event(object, event);
    case EW_PARENT_PUSH_SRC:
      ok = GST_BASE_SRC_CLASS(c->parent_class)->event(object, event);
      gst_event_unref(event);
      return ok;
    default:
      gst_event_unref(event);
      return FALSE;
  }
}

gboolean ew_parent_query(gpointer object, int side, GstQuery *query) {
  EwClass *c = ew_class_of(object);
  switch (c->parent) {
    case EW_PARENT_BASE_TRANSFORM:
      return GST_BASE_TRANSFORM_CLASS(c->parent_class)
          ->query(object, side == EW_SIDE_SINK ? GST_PAD_SINK : GST_PAD_SRC, query);
    case EW_PARENT_BASE_SINK:
      return GST_BASE_SINK_CLASS(c->parent_class)->query(object, query);
    case EW_PARENT_PUSH_SRC:
      return GST_BASE_SRC_CLASS(c->parent_class)->query(object, query);
    default:
      return FALSE;
  }
}

// Signals

static gboolean acc_first_non_null(GSignalInvocationHint *hint, GValue *acc, const GValue *v, gpointer data) {
  (void)hint;
  (void)data;
  gpointer p = NULL;
  if (G_VALUE_HOLDS_STRING(v))
    p = (gpointer)g_value_get_string(v);
  else if (g_value_fits_pointer(v))
    p = g_value_peek_pointer(v);
  if (p == NULL)
    return TRUE;
  g_value_copy(v, acc);
  return FALSE;
}

static gboolean acc_all_true(GSignalInvocationHint *hint, GValue *acc, const GValue *v, gpointer data) {
  (void)hint;
  (void)data;
  gboolean yes = g_value_get_boolean(v);
  g_value_set_boolean(acc, yes);
  return yes;
}

static void signal_marshal(GClosure *closure, GValue *ret, guint n, const GValue *params, gpointer hint, gpointer data) {
  (void)hint;
  (void)data;
  gpointer object = g_value_peek_pointer(&params[0]);
  ewGoSignal(ew_handle_of(object), GPOINTER_TO_UINT(closure->data), ret, n - 1, (GValue *)params + 1);
}

static void install_signal(EwClass *c, GType type, guint i) {
  EwSignal *s = &c->signals[i];
  GSignalAccumulator acc = NULL;
  GClosure *closure = NULL;
  switch (s->accumulator) {
    case EW_ACC_FIRST_NON_NULL:
      acc = acc_first_non_null;
      break;
    case EW_ACC_TRUE_HANDLED:
      acc = g_signal_accumulator_true_handled;
      break;
    case EW_ACC_ALL_TRUE:
      acc = acc_all_true;
      break;
    case EW_ACC_FIRST_WINS:
      acc = g_signal_accumulator_first_wins;
      break;
  }
  if (s->handler) {
    closure = g_closure_new_simple(sizeof(GClosure), GUINT_TO_POINTER(i));
    g_closure_set_marshal(closure, signal_marshal);
  }
  s->id = g_signal_newv(s->name, type, G_SIGNAL_RUN_LAST | (s->action ? G_SIGNAL_ACTION : 0), closure, acc, NULL,
      NULL, s->ret, s->n_params, s->params);
}

static void class_init(gpointer g_class, gpointer data) {
  EwClass *c = data;
  GObjectClass *object = g_class;
  GstElementClass *element = g_class;
  guint f = c->flags, i;

  c->parent_class = g_type_class_peek_parent(g_class);
  object->finalize = finalize;
  object->set_property = set_property;
  object->get_property = get_property;
  for (i = 0; i < c->n_props; i++)
    g_object_class_install_property(object, i + 1, c->props[i]);
  for (i = 0; i < c->n_signals; i++)
    install_signal(c, G_TYPE_FROM_CLASS(g_class), i);
  gst_element_class_set_static_metadata(element, c->long_name, c->klass, c->description, c->author);
  for (i = 0; i < c->n_pads; i++) {
    GstCaps *caps = gst_caps_from_string(c->pads[i].caps);
    gst_element_class_add_pad_template(element,
        gst_pad_template_new(c->pads[i].name, c->pads[i].direction, c->pads[i].presence, caps));
    gst_caps_unref(caps);
  }
  element->change_state = change_state;
  element->pad_removed = pad_removed;
  if (f & EW_REQUEST_PAD) {
    element->request_new_pad = request_new_pad;
    element->release_pad = release_pad;
  }

  switch (c->parent) {
    case EW_PARENT_BASE_TRANSFORM: {
      GstBaseTransformClass *k = g_class;
      if (f & EW_START_STOP) {
        k->start = bt_start;
        k->stop = bt_stop;
      }
      if (f & EW_SET_CAPS)
        k->set_caps = bt_set_caps;
      if (f & EW_TRANSFORM_IP) {
        k->transform_ip = bt_transform_ip;
        k->transform_ip_on_passthrough = TRUE;
        k->prepare_output_buffer = bt_prepare_output_buffer;
        k->propose_allocation = bt_propose_allocation;
      }
      if (f & (EW_TRANSFORM_IP | EW_GENERATE))
        k->submit_input_buffer = bt_submit_input_buffer;
      if (f & EW_TRANSFORM_CAPS)
        k->transform_caps = bt_transform_caps;
      if (f & EW_GENERATE)
        k->generate_output = bt_generate_output;
      if (f & EW_SINK_EVENT)
        k->sink_event = bt_sink_event;
      if (f & EW_SRC_EVENT)
        k->src_event = bt_src_event;
      if (f & EW_QUERY)
        k->query = bt_query;
      break;
    }
    case EW_PARENT_BASE_SINK: {
      GstBaseSinkClass *k = g_class;
      if (f & EW_START_STOP) {
        k->start = bs_start;
        k->stop = bs_stop;
      }
      if (f & EW_SET_CAPS)
        k->set_caps = bs_set_caps;
      if (f & EW_RENDER)
        k->render = bs_render;
      if (f & EW_RENDER_LIST)
        k->render_list = bs_render_list;
      if (f & EW_UNLOCK) {
        k->unlock = bs_unlock;
        k->unlock_stop = bs_unlock_stop;
      }
      if (f & EW_SINK_EVENT)
        k->event = bs_event;
      if (f & EW_QUERY)
        k->query = bs_query;
      break;
    }
    case EW_PARENT_PUSH_SRC: {
      GstBaseSrcClass *k = g_class;
      if (f & EW_START_STOP) {
        k->start = ps_start;
        k->stop = ps_stop;
      }
      if (f & EW_SET_CAPS)
        k->set_caps = ps_set_caps;
      if (f & EW_UNLOCK) {
        k->unlock = ps_unlock;
        k->unlock_stop = ps_unlock_stop;
      }
      if (f & EW_CREATE)
        ((GstPushSrcClass *)g_class)->create = ps_create;
      if (f & EW_SRC_EVENT)
        k->event = ps_event;
      if (f & EW_QUERY)
        k->query = ps_query;
      if (f & EW_SRC_CAPS)
        k->get_caps = ps_get_caps;
      break;
    }
  }
}

GType ew_register_type(const char *name, EwClass *c) {
  GType parent = GST_TYPE_ELEMENT;
  switch (c->parent) {
    case EW_PARENT_BIN:
      parent = GST_TYPE_BIN;
      break;
    case EW_PARENT_BASE_TRANSFORM:
      parent = GST_TYPE_BASE_TRANSFORM;
      break;
    case EW_PARENT_BASE_SINK:
      parent = GST_TYPE_BASE_SINK;
      break;
    case EW_PARENT_PUSH_SRC:
      parent = GST_TYPE_PUSH_SRC;
      break;
  }
  GTypeQuery q;
  if (g_type_from_name(name) != 0)
    return 0; // taken; asking first spares the host a critical
  g_type_query(parent, &q);
  gsize size = 0;
  switch (c->parent) {
    case EW_PARENT_ELEMENT:
      size = sizeof(EwElement);
      break;
    case EW_PARENT_BIN:
      size = sizeof(EwBin);
      break;
    case EW_PARENT_BASE_TRANSFORM:
      size = sizeof(EwBaseTransform);
      break;
    case EW_PARENT_BASE_SINK:
      size = sizeof(EwBaseSink);
      break;
    case EW_PARENT_PUSH_SRC:
      size = sizeof(EwPushSrc);
      break;
  }
  GTypeInfo info = {
      .class_size = q.class_size,
      .class_init = class_init,
      .class_data = c,
      .instance_size = size,
      .instance_init = instance_init,
  };
  c->type = g_type_register_static(parent, name, &info, 0);
  if (c->type != 0)
    g_type_set_qdata(c->type, class_quark(), c);
  return c->type;
}
