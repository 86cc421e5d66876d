/* SPDX-License-Identifier: MIT */
#include "serve/reply.h"

#include "base/buffer.h"
#include "base/json.h"
#include "ingress/ingress.h"

void reply_json(struct exchange *x, int status, const struct buffer *json)
{
	exchange_respond(x, status, "application/json", json->data, json->size);
}

void reply_refuse(struct exchange *x, int status, const char *sentence)
{
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;

	json_object(&json, NULL);
	json_string(&json, "error", sentence);
	json_object_end(&json);
	reply_json(x, status, &json);
}
