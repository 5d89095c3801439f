/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A stand-in for libnvds_3d_gst and for the data maps of DeepStream's ds3d components. The classes below are declared in
 * the order of ds3d/common/abi_obj.h and abi_frame.h, so that the compiler lays their tables out as the real ones are; what
 * is behind them is ours. Functions td_* make data maps for tests that are not written in C++.
 */
#include <gst/gst.h>
#include <sys/mman.h>

#include <atomic>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace {

std::atomic<int> live{0}; /* references and frames that have not been destroyed */

enum : int { good = 0, not_found = -4, wrong_type = -6 };

struct RefObj {
  virtual void destroy() = 0;
  virtual RefObj *refCopy_i() const = 0;
  virtual ~RefObj() = default;
};

template <class T>
struct RefT : RefObj {
  virtual T *data() const = 0;
};

using RefAny = RefT<void>;

struct DataMap {
  virtual ~DataMap() = default;
  virtual int setBuf_i(const char *key, uint64_t type, RefAny *data) = 0;
  virtual int getBuf_i(const char *key, uint64_t type, const RefAny *&data) const = 0;
  virtual int removeBuf_i(const char *key) = 0;
  virtual bool has_i(const char *key) const = 0;
  virtual int clear_i() = 0;
};

struct Shape {
  uint32_t dims = 0;
  int32_t d[8] = {0};
};

struct Frame {
  virtual ~Frame() = default;
  virtual int dataType() const = 0;
  virtual int frameType() const = 0;
  virtual int memType() const = 0;
  virtual int64_t devId() const = 0;
  virtual size_t bytes() const = 0;
  virtual const Shape &shape() const = 0;
  virtual void *base() const = 0;
};

struct Stamp {
  uint64_t t[3];
};

/* A reference that keeps its object alive. */
template <class T>
struct Ref final : RefT<T> {
  std::shared_ptr<T> object;
  explicit Ref(std::shared_ptr<T> o) : object(std::move(o)) { live++; }
  ~Ref() override { live--; }
  void destroy() override { delete this; }
  RefObj *refCopy_i() const override { return new Ref(object); }
  T *data() const override { return object.get(); }
};

struct Map final : DataMap {
  struct Entry {
    uint64_t type;
    RefAny *data;
  };
  mutable std::mutex mutex;
  std::map<std::string, Entry> entries;
  std::deque<RefAny *> replaced; /* getBuf_i gives the map's own reference: who has it may not have copied it yet */
  ~Map() override { clear_i(); }
  int setBuf_i(const char *key, uint64_t type, RefAny *data) override {
    std::lock_guard<std::mutex> lock(mutex);
    auto found = entries.find(key);
    if (found != entries.end())
      replaced.push_back(found->second.data);
    if (replaced.size() > 1000) {
      replaced.front()->destroy();
      replaced.pop_front();
    }
    entries[key] = {type, data};
    return good;
  }
  int getBuf_i(const char *key, uint64_t type, const RefAny *&data) const override {
    std::lock_guard<std::mutex> lock(mutex);
    auto found = entries.find(key);
    if (found == entries.end())
      return not_found;
    if (found->second.type != type)
      return wrong_type;
    data = found->second.data;
    return good;
  }
  int removeBuf_i(const char *) override { return not_found; }
  bool has_i(const char *key) const override { return entries.count(key) > 0; }
  int clear_i() override {
    for (auto &e : entries)
      e.second.data->destroy();
    entries.clear();
    for (RefAny *r : replaced)
      r->destroy();
    replaced.clear();
    return good;
  }
};

/* Memory of a GPU: addresses that the processor cannot read, and what stands there. */
struct Device {
  const char *start;
  size_t size;
  const void *content;
};
std::mutex devices_mutex;
std::vector<Device> devices;

struct Array final : Frame {
  std::vector<char> content;
  Shape form;
  size_t size;
  int data, memory;
  void *device = nullptr;
  Array(const void *from, size_t n, const int *dims, unsigned n_dims, int data_type, int memory_type)
      : content((const char *)from, (const char *)from + n), size(n), data(data_type), memory(memory_type) {
    live++;
    form.dims = n_dims;
    for (unsigned i = 0; i < n_dims && i < 8; i++)
      form.d[i] = dims[i];
    if (memory == 1 && n > 0) {
      device = mmap(nullptr, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      std::lock_guard<std::mutex> lock(devices_mutex);
      devices.push_back({(const char *)device, n, content.data()});
    }
  }
  ~Array() override {
    live--;
    if (device == nullptr)
      return;
    munmap(device, size);
    std::lock_guard<std::mutex> lock(devices_mutex);
    for (size_t i = 0; i < devices.size(); i++)
      if (devices[i].start == device) {
        devices.erase(devices.begin() + (long)i);
        break;
      }
  }
  int dataType() const override { return data; }
  int frameType() const override { return 255; }
  int memType() const override { return memory; }
  int64_t devId() const override { return 0; }
  size_t bytes() const override { return size; }
  const Shape &shape() const override { return form; }
  void *base() const override { return device != nullptr ? device : (void *)content.data(); }
};

/* What a buffer of the ds3d components holds. */
struct Buffer {
  uint32_t magic;
  RefT<DataMap> *map;
};
constexpr uint32_t magic = 'D' << 24 | 'S' << 16 | '3' << 8 | 'D';

void put(RefT<DataMap> *map, const char *key, uint64_t type, std::shared_ptr<void> data) {
  map->data()->setBuf_i(key, type, new Ref<void>(std::move(data)));
}

void free_buffer(gpointer data) {
  Buffer *b = static_cast<Buffer *>(data);
  b->map->destroy();
  delete b;
}

GstBuffer *wrap(RefT<DataMap> *map, GDestroyNotify free) {
  Buffer *b = new Buffer{magic, map};
  return gst_buffer_new_wrapped_full(GST_MEMORY_FLAG_READONLY, b, sizeof *b, 0, sizeof *b, b, free);
}

void leak(gpointer) {}

} /* namespace */

extern "C" {

#ifndef WITHOUT_FIND
int NvDs3D_Find1stDataMap(GstBuffer *buffer, const RefT<DataMap> *&map) {
  GstMapInfo info;
  if (gst_buffer_n_memory(buffer) == 0 || !gst_buffer_map(buffer, &info, GST_MAP_READ))
    return not_found;
  Buffer b = {0, nullptr};
  if (info.size >= sizeof b)
    memcpy(&b, info.data, sizeof b);
  gst_buffer_unmap(buffer, &info);
  if (b.magic != magic)
    return not_found;
  map = b.map;
  return good;
}
#endif

#ifndef WITHOUT_CUDA
int cudaMemcpy(void *to, const void *from, size_t size, int kind) {
  std::lock_guard<std::mutex> lock(devices_mutex);
  for (const Device &d : devices)
    if ((const char *)from >= d.start && (const char *)from + size <= d.start + d.size && kind == 2) {
      memcpy(to, (const char *)d.content + ((const char *)from - d.start), size);
      return 0;
    }
  return 1; /* cudaErrorInvalidValue */
}
#endif

void *td_map() { return new Ref<DataMap>(std::make_shared<Map>()); }

void td_stamp(void *map, const char *key, uint64_t t0) {
  put(static_cast<RefT<DataMap> *>(map), key, 0x20002, std::make_shared<Stamp>(Stamp{{t0, 0, 0}}));
}

void td_array(void *map, const char *key, const void *data, size_t bytes, const int *dims, unsigned n, int data_type, int memory) {
  std::shared_ptr<Frame> frame = std::make_shared<Array>(data, bytes, dims, n, data_type, memory);
  put(static_cast<RefT<DataMap> *>(map), key, 0x20001, frame);
}

/* An array of single precision whose memory is elsewhere: what it says of itself need not be true. */
struct Elsewhere final : Frame {
  Shape form;
  const Shape *shape_at = &form;
  size_t size = 0;
  void *memory = nullptr;
  Elsewhere() { live++; }
  ~Elsewhere() override { live--; }
  int dataType() const override { return 0; }
  int frameType() const override { return 255; }
  int memType() const override { return 2; }
  int64_t devId() const override { return 0; }
  size_t bytes() const override { return size; }
  const Shape &shape() const override { return *shape_at; }
  void *base() const override { return memory; }
};

void td_array_at(void *map, const char *key, uint64_t address, size_t bytes, const int *dims, unsigned n) {
  auto frame = std::make_shared<Elsewhere>();
  frame->memory = reinterpret_cast<void *>(address);
  frame->size = bytes;
  frame->form.dims = n;
  memcpy(frame->form.d, dims, n * sizeof *dims);
  put(static_cast<RefT<DataMap> *>(map), key, 0x20001, std::shared_ptr<Frame>(frame));
}

/* An array whose shape is at an address. */
void td_shape_at(void *map, const char *key, uint64_t address) {
  auto frame = std::make_shared<Elsewhere>();
  frame->shape_at = reinterpret_cast<const Shape *>(address);
  put(static_cast<RefT<DataMap> *>(map), key, 0x20001, std::shared_ptr<Frame>(frame));
}

/* An entry of a type whose object is at an address. */
void td_entry_at(void *map, const char *key, uint64_t type, uint64_t address) {
  put(static_cast<RefT<DataMap> *>(map), key, type, std::shared_ptr<void>(reinterpret_cast<void *>(address), [](void *) {}));
}

/* A buffer that owns the map. */
void *td_buffer(void *map) { return wrap(static_cast<RefT<DataMap> *>(map), free_buffer); }

/* Buffers whose map is none: the address leads where it leads, or to an object with a table of no functions. */
void *td_wild(uint64_t address) { return wrap(reinterpret_cast<RefT<DataMap> *>(address), leak); }

void *td_strange() {
  static const char *words[16] = {"these", "are", "no", "functions", "but", "text", "text", "text", "text"};
  static const char **object = words;
  return wrap(reinterpret_cast<RefT<DataMap> *>(&object), leak);
}

/* A second owner of a map's entries, so that they outlive it. */
void *td_copy(void *map) { return static_cast<RefT<DataMap> *>(map)->refCopy_i(); }
void td_destroy(void *map) { static_cast<RefT<DataMap> *>(map)->destroy(); }

int td_live() { return live; }
}
