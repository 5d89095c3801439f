// SPDX-License-Identifier: LGPL-2.1-or-later

package msg2p

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// inspect looks at a library before dlopen does, which would wait at a named pipe, says of a library for another
// processor that there is no such file, and is the process's end with one of which a part is missing. It gives
// what is wrong and what to do; "" if that is left to dlopen.
func inspect(path string) (why, remedy string) {
	st, err := os.Stat(path)
	if err != nil || !strings.Contains(path, "/") {
		return "", ""
	}
	if !st.Mode().IsRegular() {
		return "it is not a regular file", "give the path of a shared object"
	}
	f, err := os.Open(path)
	if err != nil {
		return "", ""
	}
	defer f.Close()
	var h elf.Header64
	if binary.Read(f, binary.LittleEndian, &h) != nil || !bytes.HasPrefix(h.Ident[:], []byte(elf.ELFMAG)) ||
		elf.Class(h.Ident[elf.EI_CLASS]) != elf.ELFCLASS64 || elf.Data(h.Ident[elf.EI_DATA]) != elf.ELFDATA2LSB {
		return "", ""
	}
	if ours, ok := machines[runtime.GOARCH]; ok && elf.Machine(h.Machine) != ours {
		return fmt.Sprintf("it is for another processor (%s; this is %s)", processor(elf.Machine(h.Machine)), processor(ours)), "build it for this one"
	}
	const cut = "a part of it is missing"
	if h.Phoff > uint64(st.Size()) || int(h.Phentsize) != binary.Size(elf.Prog64{}) {
		return cut, copyAgain
	}
	parts := io.NewSectionReader(f, int64(h.Phoff), st.Size()-int64(h.Phoff))
	for range h.Phnum {
		var p elf.Prog64
		if binary.Read(parts, binary.LittleEndian, &p) != nil ||
			elf.ProgType(p.Type) == elf.PT_LOAD && (p.Off > uint64(st.Size()) || p.Filesz > uint64(st.Size())-p.Off) {
			return cut, copyAgain
		}
	}
	return "", ""
}

const copyAgain = "copy or build it again, and start when that has ended"

func processor(m elf.Machine) string {
	return strings.ToLower(strings.TrimPrefix(m.String(), "EM_"))
}
