/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef EW_CALM_H
#define EW_CALM_H

/* How often librdkafka's threads of brokers have called poll, in this process. */
__attribute__((visibility("hidden"))) unsigned long ew_calm_calls(void);

#endif
