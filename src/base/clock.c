/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <stdio.h>

#include "base/buffer.h"

void clock_put_utc(struct buffer *b, uint64_t wall_ns)
{
	time_t seconds = (time_t)(wall_ns / NS_PER_S);
	char date[32];
	struct tm utc;

	gmtime_r(&seconds, &utc);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
	buffer_printf(b, "%s.%03uZ", date, (unsigned)(wall_ns % NS_PER_S / NS_PER_MS));
}
