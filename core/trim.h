/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef EW_CORE_TRIM_H
#define EW_CORE_TRIM_H

/*
 * Gives back the pages of this library's code and constants. Loading it, and Go's look at its own tables,
 * touch every one of them once: some 15 MB that would count as the process's own for ever, of which an
 * element needs two or three. What is needed comes back from the page cache. With heap set, the C library gives
 * back what it keeps for later, too.
 */
void ew_trim(int heap);

#endif
