// SPDX-License-Identifier: LGPL-2.1-or-later

package nvdssdk

// #include "ds3d.h"
// #include "sdk.h"
// #include <stdlib.h>
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/internal/nvdsmeta"
)

// The entries of a data map that DataMaps reads.
const (
	Objects2D = C.EW_DS3D_OBJECTS_2D
	Objects3D = C.EW_DS3D_OBJECTS_3D
	Fused     = C.EW_DS3D_FUSED
	Points    = C.EW_DS3D_POINTS
)

// dataFloat32 is DataType::kFp32, memoryGPU MemType::kGpuCuda (ds3d/common/idatatype.h).
const dataFloat32, memoryGPU = 0, 1

// refFunctions is how many virtual functions a reference of ds3d has.
const refFunctions = 5

// What Read fails with, among others.
var (
	ErrNoDataMap = errors.New("the buffer has no data map")
	ErrStrange   = errors.New("the data map is no object of the kind that is known; is this a release of DeepStream newer than 9.1?")
)

// DataMaps reads the data maps of a stream, one after the other.
type DataMaps struct {
	keys [4]string
	sdk  *SDK // for payloads; made when first needed
	c    *C.EwDs3d
}

// OpenDataMaps finds the function of DeepStream's that finds a buffer's data map in this process. keys name the
// entries that are read; an empty one is none. The caller closes what it gets.
func OpenDataMaps(keys [4]string) (*DataMaps, error) {
	d := &DataMaps{keys: keys, c: C.ew_ds3d_new()}
	if d.c.find == nil {
		d.Close()
		return nil, errors.New("this process has no function NvDs3D_Find1stDataMap: is DeepStream's libnvds_3d_gst loaded, as its ds3d components load it?")
	}
	for i, key := range keys {
		text := C.CString(key) // without a NUL: the configuration is checked
		d.c.keys[i] = C.g_strdup(text)
		C.free(unsafe.Pointer(text))
	}
	return d, nil
}

// Close frees it.
func (d *DataMaps) Close() {
	C.ew_ds3d_free(d.c)
	d.c = nil
}

// Read looks at a buffer's data map. What it finds stays until Done, which must follow.
func (d *DataMaps) Read(b gst.Buffer) error {
	address := uintptr(C.ew_ds3d_find(d.c, C.gpointer(b.Pointer())))
	if address == 0 {
		return ErrNoDataMap
	}
	if err := nvdsmeta.Virtual(address, refFunctions); err != nil {
		return err
	}
	if C.ew_ds3d_read(d.c, C.guint64(address)) == 0 {
		return ErrStrange
	}
	return nil
}

// Done gives back what Read found.
func (d *DataMaps) Done() { C.ew_ds3d_done(d.c) }

// Stamp is the time in the data map, in nanoseconds.
func (d *DataMaps) Stamp() (ns uint64, ok bool) { return uint64(d.c.stamp), d.c.has_stamp != 0 }

// Has reports whether the data map has an entry.
func (d *DataMaps) Has(entry int) bool { return d.c.arrays[entry].status != C.EW_DS3D_ABSENT }

// Records gives the address and the number of an entry's records, which are of size bytes.
func (d *DataMaps) Records(entry, size int) (base uintptr, n int, err error) {
	n, last, err := d.shape(entry)
	switch {
	case err != nil || n == 0:
		return 0, 0, err
	case last != size:
		return 0, 0, fmt.Errorf("its entry %q has records of %d bytes instead of %d", d.keys[entry], last, size)
	case n > maxRecords:
		return 0, 0, fmt.Errorf("its entry %q has %d records, more than %d", d.keys[entry], n, maxRecords)
	}
	base, err = d.memory(entry, n*size)
	return base, n, err
}

// Numbers gives the address of an entry's first rows of numbers, most of them at the most, and how many a row has.
func (d *DataMaps) Numbers(entry, most int) (base uintptr, rows, columns int, err error) {
	rows, columns, err = d.shape(entry)
	if rows = min(rows, most); err != nil || rows == 0 {
		return 0, 0, 0, err
	}
	if t := int(d.c.arrays[entry].data_type); t != dataFloat32 {
		return 0, 0, 0, fmt.Errorf("its entry %q is of the data type %d instead of %d, single precision", d.keys[entry], t, dataFloat32)
	}
	base, err = d.memory(entry, rows*columns*4)
	return base, rows, columns, err
}

// maxBytes and maxRecords are what an entry has at the most.
const maxBytes, maxRecords = 1 << 31, 1 << 17

// shape is how many rows an entry has, and the size of its last dimension.
func (d *DataMaps) shape(entry int) (rows, last int, err error) {
	a := &d.c.arrays[entry]
	switch a.status {
	case C.EW_DS3D_ABSENT:
		return 0, 0, nil
	case C.EW_DS3D_OTHER_TYPE:
		return 0, 0, fmt.Errorf("its entry %q is no frame", d.keys[entry])
	case C.EW_DS3D_STRANGE:
		return 0, 0, fmt.Errorf("its entry %q is no frame of the kind that is known", d.keys[entry])
	}
	if a.n_dims == 0 {
		return 0, 0, fmt.Errorf("its entry %q has no dimensions", d.keys[entry])
	}
	rows = 1
	for i := range int(a.n_dims) {
		size := int(a.dims[i])
		if size <= 0 {
			return 0, 0, nil // nothing in it
		}
		if i == int(a.n_dims)-1 {
			last = size
		} else if rows *= size; rows > maxBytes {
			return 0, 0, d.small(entry)
		}
	}
	return rows, last, nil
}

func (d *DataMaps) small(entry int) error {
	return fmt.Errorf("its entry %q has %d bytes, less than its dimensions say", d.keys[entry], uint64(d.c.arrays[entry].bytes))
}

// memory gives the address of an entry's first bytes, in memory that the processor can read.
func (d *DataMaps) memory(entry, bytes int) (uintptr, error) {
	a := &d.c.arrays[entry]
	switch {
	case bytes > maxBytes || uint64(a.bytes) < uint64(bytes):
		return 0, d.small(entry)
	case a.base == 0:
		return 0, fmt.Errorf("its entry %q has no memory", d.keys[entry])
	case a.mem_type != memoryGPU:
		return uintptr(a.base), nil
	}
	host := uintptr(C.ew_ds3d_to_host(d.c, C.guint(entry), C.guint64(bytes)))
	if host == 0 {
		why := "copying it out fails"
		if d.c.cuda_copy == nil {
			why = "this process has no cudaMemcpy to copy it out"
		}
		return 0, fmt.Errorf("its entry %q is in a GPU's memory, and %s", d.keys[entry], why)
	}
	return host, nil
}

// Batch gives the batch of a buffer that payloads can be attached to. One is made where there is none: the buffer
// must be writable then. The SDK's functions come with it.
func (d *DataMaps) Batch(b gst.Buffer) (batch uintptr, sdk *SDK, err error) {
	if d.sdk == nil {
		s := new(SDK)
		C.ew_nvds_resolve(&s.c)
		if s.c.missing != nil {
			return 0, nil, fmt.Errorf("DeepStream's libnvds_meta has no function %s in this process", C.GoString(s.c.missing))
		}
		d.sdk = s
	}
	if batch = Find(b); batch == 0 {
		batch = uintptr(unsafe.Pointer(C.ew_nvds_add_batch(C.gpointer(b.Pointer()))))
	}
	if batch == 0 {
		return 0, nil, errors.New("DeepStream cannot put a batch of metadata on a buffer: no memory, or its libraries libnvds_meta and libnvdsgst_meta are not loaded")
	}
	if broken := nvdsmeta.Guard(func() { err = nvdsmeta.Plausible(batch) }); broken != nil {
		err = broken
	}
	return batch, d.sdk, err
}
