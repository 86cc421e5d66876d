/* SPDX-License-Identifier: MIT */

/*
 * Everything goes and comes as binary data, whatever it was written as: JSON has neither the
 * halves nor the infinities, and what is printed should be what was computed.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/wrap.h"
#include "array/array.h"
#include "cli/array_text.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/inference.h"
#include "cli/model.h"
#include "array/npy.h"
#include "cli/request.h"
#include "cli/values.h"
#include "serve/style.h"

struct infer_options {
	struct client_options client; /* the first: its rows have its offsets */
	const char *request, *output, *only;
	bool all;
	struct words inputs;
};

#define ROW(...) OPTION_ROW(infer_options, __VA_ARGS__)

static const struct option_row rows[] = {
	ROW(request, "request", 'r', "FILE", FILE, NULL, 0, 0,
	    "take the inputs from FILE, JSON; -: from stdin",
	    "An object such as {\"X\": [1,2,3]}, or a request of the Open Inference Protocol."),
	ROW(output, "output", 'o', "FILE", FILE, NULL, 0, 0,
	    "write the output to FILE, a .npy; -: to stdout",
	    "BF16, which numpy doesn't have, is written as float32, BYTES as S."),
	ROW(only, "only", 0, "OUTPUT", STRING, NULL, 0, 0, "ask for this output only"),
	ROW(all, "all", 0, NULL, BOOL, NULL, 0, 0, "print every element"),
	CLIENT_ROW(timeout, "timeout", 0, "SECONDS", UNSIGNED, "120", 1, 86400,
		   "give up after that time"),
	CLIENT_ROW(no_color, "no-color", 0, NULL, BOOL, NULL, 0, 0, "print without colour"),
	CLIENT_ROWS,
};

static const struct operand operands[] = {
	{ .name = "NAME",
	  .kind = OPTION_DEPLOYMENT,
	  .offset = offsetof(struct infer_options, client.name),
	  .missing = "which deployment? 'devserve status' lists them" },
	{ .name = "INPUT=VALUE",
	  .kind = OPTION_FILE,
	  .offset = offsetof(struct infer_options, inputs),
	  .many = true },
};

static const struct example examples[] = {
	{ "devserve infer relu X=-1,0,1", "numbers" },
	{ "devserve infer simple INPUT0=0..15 INPUT1=1*16", "a range, and one number 16 times" },
	{ "devserve infer matmul A='[[1,2],[3,4]]' B=b.npy", "a shape of its own, and a file of numpy" },
	{ "devserve infer tokenize TEXT='some text'", "BYTES" },
	{ "devserve infer relu X=x.npy -o y.npy", "numpy in, numpy out" },
	{ "devserve infer relu -r request.json --json | jq", "for programs" },
};

static const struct exit_status exits[] = {
	{ 0, "It was answered." },
	{ 1, "An input doesn't fit, or the deployment refused, failed or doesn't serve." },
	{ 69, "No server answers." },
};

/* Inputs */

static int refuse_word(const struct model *m, const char *word, struct buffer *why)
{
	if (m->n_inputs) {
		buffer_printf(why, "'%s' has no '=': what is wanted is ", word);
		model_put_inputs(m, why);
	} else {
		buffer_printf(why, "'%s' is too much: the deployment takes no input", word);
	}
	return EXIT_FAILURE;
}

/* "X=1,2,3", or "1,2,3" where there is but one input. */
static int take_word(const struct model *m, const char *word, struct array *inputs, struct buffer *why)
{
	const char *equals = strchr(word, '='), *text = equals ? equals + 1 : word;
	_cleanup_free_ char *name = NULL;
	const struct model_port *p;

	if (!equals && m->n_inputs != 1)
		return refuse_word(m, word, why);
	name = equals ? xstrndup(word, (size_t)(equals - word)) : xstrdup(m->inputs[0].name);
	p = model_input(m, name, why);
	if (!p)
		return EXIT_FAILURE;
	if (inputs[p - m->inputs].data) {
		buffer_printf(why, "%s: it is given twice", p->name);
		return EXIT_FAILURE;
	}
	return values_from_text(p, text, &inputs[p - m->inputs], why);
}

static int take_request(const struct infer_options *o, const struct model *m, struct array *inputs, struct buffer *why)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	int r = values_read_file(o->request, &text);

	if (r < 0) {
		buffer_printf(why, "cannot read %s: %s", o->request, strerror(-r));
		return EXIT_FAILURE;
	}
	return request_values(m, buffer_text(&text), text.size, inputs, why);
}

static int check_missing(const struct model *m, const struct array *inputs, struct buffer *why)
{
	for (size_t i = 0; i < m->n_inputs; i++) {
		if (inputs[i].data)
			continue;
		buffer_printf(why, "%s is missing; what is wanted is ", m->inputs[i].name);
		model_put_inputs(m, why);
		return EXIT_FAILURE;
	}
	return 0;
}

static int take_inputs(const struct infer_options *o, const struct model *m, struct array *inputs, struct buffer *why)
{
	int r = o->request ? take_request(o, m, inputs, why) : 0;

	for (size_t i = 0; i < o->inputs.n && r == 0; i++)
		r = take_word(m, o->inputs.word[i], inputs, why);
	return r == 0 ? check_missing(m, inputs, why) : r;
}

/* Outputs */

static void put_head(const struct infer_options *o, const struct inference *inf, const struct style *s, struct buffer *b)
{
	buffer_printf(b, "%s%s%s", BOLD(s), o->client.name, PLAIN(s));
	if (inf->answer.generation)
		buffer_printf(b, "  gen %" PRIu32, inf->answer.generation);
	buffer_puts(b, "  ");
	style_duration(b, inf->took_ns);
	if (inf->answer.stale[0])
		buffer_printf(b, "  %snot the newest save: %s%s", YELLOW(s), inf->answer.stale, PLAIN(s));
	buffer_putc(b, '\n');
}

static void print_text(const struct infer_options *o, const struct inference *inf)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	struct style s;

	style_init(&s, STDOUT_FILENO, ".", o->client.no_color);
	put_head(o, inf, &s, &b);
	for (size_t i = 0; i < inf->n_outputs; i++) {
		const struct array *a = &inf->outputs[i];

		buffer_printf(&b, "\n%s%s%s  %s", BOLD(&s), a->name, PLAIN(&s), DIM(&s));
		array_put_type(&b, a->dtype, a->shape, a->rank);
		buffer_printf(&b, "%s\n", PLAIN(&s));
		array_put_text(&b, a, terminal_width(STDOUT_FILENO), o->all);
	}
	fwrite(b.data, 1, b.size, stdout);
	style_fini(&s);
}

static void print_json(const struct infer_options *o, const struct inference *inf)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	json_object(&b, NULL);
	json_string(&b, "model_name", o->client.name);
	json_uint(&b, "generation", inf->answer.generation);
	json_string(&b, "stale", inf->answer.stale[0] ? inf->answer.stale : NULL);
	json_double(&b, "took_ms", (double)(inf->took_ns / 1000) / 1000);
	json_array(&b, "outputs");
	for (size_t i = 0; i < inf->n_outputs; i++)
		array_put_json(&b, &inf->outputs[i], !o->output);
	json_array_end(&b);
	if (o->output)
		json_string(&b, "written", o->output);
	json_object_end(&b);
	buffer_putc(&b, '\n');
	fwrite(b.data, 1, b.size, stdout);
}

static int write_output(const struct infer_options *o, const struct inference *inf, struct buffer *why)
{
	_cleanup_buffer_ struct buffer file = BUFFER_NULL;
	const struct array *a = &inf->outputs[0];
	int r;

	if (npy_format(a, &file, why) < 0)
		return EXIT_FAILURE;
	if (strcmp(o->output, "-") == 0) {
		fwrite(file.data, 1, file.size, stdout);
		return 0;
	}
	r = file_write(o->output, file.data, file.size, 0666);
	if (r < 0)
		buffer_printf(why, "cannot write %s: %s", o->output, strerror(-r));
	return r < 0 ? EXIT_FAILURE : 0;
}

static void print_written(const struct infer_options *o, const struct inference *inf)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	const struct array *a = &inf->outputs[0];
	struct style s;

	style_init(&s, STDOUT_FILENO, ".", o->client.no_color);
	put_head(o, inf, &s, &b);
	buffer_printf(&b, "%s  ", a->name);
	array_put_type(&b, a->dtype, a->shape, a->rank);
	buffer_printf(&b, "  written to %s%s\n", o->output, a->dtype == DEVSERVE_BF16 ? " as float32" : "");
	fputs(b.data, stdout);
	style_fini(&s);
}

static int show(const struct infer_options *o, const struct inference *inf, struct buffer *why)
{
	int r = o->output ? write_output(o, inf, why) : 0;

	if (r != 0 || (o->output && strcmp(o->output, "-") == 0))
		return r;
	if (o->client.json)
		print_json(o, inf);
	else if (o->output)
		print_written(o, inf);
	else
		print_text(o, inf);
	return 0;
}

/* A .npy file holds one array. */
static int check_output(const struct infer_options *o, const struct model *m, struct buffer *why)
{
	if (o->only)
		return model_output(m, o->only, why) ? 0 : EXIT_FAILURE;
	if (!o->output || m->n_outputs == 1)
		return 0;
	buffer_printf(why, "%s has several outputs; --only names the one to write:", o->client.name);
	for (size_t i = 0; i < m->n_outputs; i++)
		buffer_printf(why, " %s", m->outputs[i].name);
	return EXIT_FAILURE;
}

static int infer(const struct infer_options *o, const struct client *c, const struct model *m,
		 struct inference *inf, struct buffer *why)
{
	int r = check_output(o, m, why);

	if (r == 0)
		r = take_inputs(o, m, inf->inputs, why);
	if (r == 0)
		r = inference_run(inf, c, o->client.name, m, o->only, o->client.timeout * UINT64_C(1000), why);
	return r == 0 ? show(o, inf, why) : r;
}

static int run(void *options)
{
	const struct infer_options *o = options;
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	_cleanup_client_ struct client client = CLIENT_NULL;
	struct inference inf = INFERENCE_NULL;
	struct model model = MODEL_NULL;
	int r = client_find(&o->client, &client, &why);

	if (r == EXIT_USAGE)
		return cli_usage_error(&cli_infer, &why);
	if (r == 0)
		r = model_ask(&client, o->client.name, o->client.timeout * UINT64_C(1000), &model, &why);
	if (r == 0)
		r = infer(o, &client, &model, &inf, &why);
	inference_fini(&inf);
	model_fini(&model);
	if (r != 0)
		cli_error(&why);
	return r;
}

const struct command cli_infer = {
	.name = "infer",
	.help = "ask a deployment for an answer",
	.about = "Send the inputs to the deployment NAME and print what it answers, and which generation "
		 "did. A VALUE is numbers with commas between them, among them ranges (0..15) and "
		 "repetitions (1*16); or JSON ([[1,2],[3,4]]), which has a shape; or text where the input "
		 "is BYTES; or a .npy file; or @FILE, which holds one of these. Text that looks like "
		 "one of the others is written as JSON: [\"@alice\"]. The shape that isn't given is the deployment's. Where there is one input, its name may be left out.\n\n"
		 "With --json the answer's data is flat, and what is no finite number is null; "
		 "with --output the file has the data, and the answer its name.",
	COMMAND_EXAMPLES(examples),
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	COMMAND_EXITS(exits),
	.size = sizeof(struct infer_options),
	.run = run,
};
