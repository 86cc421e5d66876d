/* SPDX-License-Identifier: MIT */

/*
 * Sends numbers to `hello` as they lie in memory, and reads the answer in the same way.
 *
 * The body is a JSON head, then the bytes of the tensors in order. A header says how long the
 * JSON is, in both directions. So a client in C needs no parser: it knows the model it calls.
 */

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct answer {
	size_t json_size; /* of the head; the tensors follow it */
	size_t size;
	char data[65536];
};

static size_t on_header(char *line, size_t one, size_t size, void *context)
{
	static const char name[] = "Inference-Header-Content-Length:";
	struct answer *a = context;

	(void)one;
	if (size > sizeof(name) && strncasecmp(line, name, sizeof(name) - 1) == 0)
		a->json_size = strtoul(line + sizeof(name) - 1, NULL, 10);
	return size;
}

static size_t on_body(char *bytes, size_t one, size_t size, void *context)
{
	struct answer *a = context;

	(void)one;
	if (size > sizeof(a->data) - a->size)
		return 0; /* more than was asked for: curl gives up */
	memcpy(a->data + a->size, bytes, size);
	a->size += size;
	return size;
}

static int post(const char *url, const char *body, size_t size, size_t json_size, struct answer *a)
{
	struct curl_slist *headers = NULL;
	char line[64], problem[CURL_ERROR_SIZE] = "";
	CURL *curl = curl_easy_init();
	long status = 0;

	snprintf(line, sizeof(line), "Inference-Header-Content-Length: %zu", json_size);
	headers = curl_slist_append(headers, line);
	headers = curl_slist_append(headers, "Content-Type: application/octet-stream");
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)size);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, a);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, a);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, problem);
	if (curl_easy_perform(curl) != CURLE_OK)
		fprintf(stderr, "client: %s\n", problem);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200 && status != 0)
		fprintf(stderr, "client: %ld: %.*s\n", status, (int)a->size, a->data);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return status == 200 ? 0 : -1;
}

int main(int argc, char **argv)
{
	enum { MAX = 1024 };
	size_t n = argc > 2 && argc - 2 <= MAX ? (size_t)argc - 2 : 0, bytes = n * sizeof(float), json_size;
	char body[512 + MAX * sizeof(float)], url[512];
	struct answer a = { .size = 0 };
	float x[MAX], y[MAX];

	if (!n) {
		fprintf(stderr, "Usage: %s http://localhost:8000 NUMBER...\n", argv[0]);
		return 2;
	}
	for (size_t i = 0; i < n; i++)
		x[i] = strtof(argv[2 + i], NULL);
	json_size = (size_t)snprintf(body, 512,
				     "{\"inputs\":[{\"name\":\"X\",\"datatype\":\"FP32\",\"shape\":[%zu],"
				     "\"parameters\":{\"binary_data_size\":%zu}}],"
				     "\"outputs\":[{\"name\":\"Y\",\"parameters\":{\"binary_data\":true}}]}",
				     n, bytes);
	memcpy(body + json_size, x, bytes);
	snprintf(url, sizeof(url), "%s/v2/models/hello/infer", argv[1]);
	if (post(url, body, json_size + bytes, json_size, &a) != 0)
		return 1;
	if (a.json_size > a.size || a.size - a.json_size != bytes) {
		fprintf(stderr, "client: the answer has %zu bytes of numbers, not %zu\n", a.size - a.json_size, bytes);
		return 1;
	}
	memcpy(y, a.data + a.json_size, bytes);
	for (size_t i = 0; i < n; i++)
		printf("%g%c", y[i], i + 1 < n ? ' ' : '\n');
	return 0;
}
