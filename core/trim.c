/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE
#include "trim.h"

#include <elf.h>
#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Something in the core's own librdkafka, which is as large, and of no use to most processes. */
extern int rd_kafka_version(void);

/* give_back gives the pages of the object back that *data lies in. */
static int give_back(struct dl_phdr_info *info, size_t size, void *data)
{
	uintptr_t here = *(uintptr_t *)data, page = (uintptr_t)sysconf(_SC_PAGESIZE);
	int i, ours = 0;

	(void)size;
	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type == PT_LOAD && here >= start && here < start + ph->p_memsz)
			ours = 1;
		if (ph->p_type == PT_DYNAMIC) {
			const ElfW(Dyn) *d = (const ElfW(Dyn) *)start;

			for (; d->d_tag != DT_NULL; d++)
				if (d->d_tag == DT_TEXTREL)
					return 0; /* its code was changed when it was loaded */
		}
	}
	if (!ours)
		return 0;
	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + ph->p_vaddr, end = start + ph->p_filesz;

		if (ph->p_type != PT_LOAD || (ph->p_flags & PF_W))
			continue; /* what can be written holds more than the file */
		start = (start + page - 1) & ~(page - 1);
		end &= ~(page - 1);
		if (start < end)
			(void)madvise((void *)start, end - start, MADV_DONTNEED);
	}
	return 1;
}

void ew_trim(int heap)
{
	uintptr_t core = (uintptr_t)ew_trim, kafka = (uintptr_t)rd_kafka_version;

	dl_iterate_phdr(give_back, &core);
	dl_iterate_phdr(give_back, &kafka);
	if (heap)
		malloc_trim(0);
}
