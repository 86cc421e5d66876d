/* SPDX-License-Identifier: MIT */

/*
 * Speed is told by the verdicts on the way from one to the other, each about a generation and the
 * one that served before it. Two steps are multiplied; a step that nobody measured ends that.
 */

#include "cli/generations_diff.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/assembly.h"
#include "cli/numbers_diff.h"
#include "cli/text_diff.h"
#include "history/database.h"
#include "history/kept.h"
#include "history/reader.h"
#include "serve/options.h"
#include "weights/weights.h"

#define MOST_STEPS 1000

/* Reading */

static bool take_row(void *context, const struct history_row *row)
{
	struct generation_side *s = context;

	s->number = row->generation;
	s->before = row->before;
	s->flags = xstrdup(row->flags);
	s->compiler = xstrdup(row->compiler);
	s->image = xstrdup(row->kept ? row->image : "");
	s->device = xstrdup(row->device);
	s->weights = xstrdup(row->weights);
	return false;
}

static void take_source(void *context, const char *path, const char *text, size_t size)
{
	struct generation_side *s = context;

	s->files = xrealloc(s->files, (s->n_files + 1) * sizeof(*s->files));
	s->files[s->n_files++] = (struct generation_file){ .path = xstrdup(path), .text = xstrndup(text, size) };
}

static int read_side(struct history_reader *r, const char *deployment, uint32_t number, struct generation_side *s,
		     struct buffer *why)
{
	int e = history_reader_generation(r, deployment, number, take_row, s, why);

	return e == 0 ? history_reader_sources(r, deployment, number, take_source, s, why) : e;
}

static bool take_step(void *context, const struct history_row *row)
{
	struct speed_step *s = context;

	*s = (struct speed_step){ .number = row->generation, .before = row->before, .ratio = row->ratio, .low = row->low,
				  .high = row->high };
	snprintf(s->verdict, sizeof(s->verdict), "%s", row->verdict);
	return false;
}

/* From @late back to @early, if that is on its way. */
static bool walk(struct history_reader *r, const char *deployment, uint32_t late, uint32_t early,
		 struct generations_diff *d)
{
	_cleanup_buffer_ struct buffer ignored = BUFFER_NULL;
	uint32_t at = late;

	while (at != early && at && d->n_steps < MOST_STEPS) {
		struct speed_step step = { .number = 0 };

		if (history_reader_generation(r, deployment, at, take_step, &step, &ignored) != 0 || step.before >= at)
			break;
		d->steps = xrealloc(d->steps, (d->n_steps + 1) * sizeof(*d->steps));
		d->steps[d->n_steps++] = step;
		at = step.before;
	}
	if (at != early)
		d->n_steps = 0;
	return at == early;
}

static bool take_nothing(void *context, const struct history_row *row)
{
	(void)context;
	(void)row;
	return false;
}

/* The nearest before @b, or else after it; 0: there is none within MOST_STEPS. */
static uint32_t find_other(struct history_reader *r, const char *deployment, uint32_t b)
{
	_cleanup_buffer_ struct buffer ignored = BUFFER_NULL;
	uint32_t n;

	for (n = b - 1; n > 0 && b - n < MOST_STEPS; n--)
		if (history_reader_generation(r, deployment, n, take_nothing, NULL, &ignored) == 0)
			return n;
	for (n = b + 1; n - b < MOST_STEPS; n++)
		if (history_reader_generation(r, deployment, n, take_nothing, NULL, &ignored) == 0)
			return n;
	return 0;
}

struct count {
	const char *deployment;
	unsigned n;
};

static void take_count(void *context, const struct history_deployment *d)
{
	struct count *c = context;

	if (strcmp(d->name, c->deployment) == 0)
		c->n = d->n_generations;
}

static unsigned count_generations(struct history_reader *r, const char *deployment)
{
	_cleanup_buffer_ struct buffer ignored = BUFFER_NULL;
	struct count c = { .deployment = deployment };

	history_reader_deployments(r, take_count, &c, &ignored);
	return c.n;
}

/* It was the first to serve after a start, or of all. */
static void refuse_first(struct history_reader *r, const char *deployment, uint32_t b, struct buffer *why)
{
	uint32_t other = find_other(r, deployment, b);

	if (other)
		buffer_printf(why, "it isn't known what served before generation %" PRIu32 ", so say which two: devserve diff "
			      "%s %" PRIu32 " %" PRIu32, b, deployment, other < b ? other : b, other < b ? b : other);
	else if (count_generations(r, deployment) > 1)
		buffer_printf(why, "it isn't known what served before generation %" PRIu32 ", and no other is near it, so say "
			      "which two: devserve diff %s N %" PRIu32, b, deployment, b);
	else
		buffer_printf(why, "generation %" PRIu32 " of %s is the only one: there is none to compare it with", b, deployment);
}

int generations_diff_read(struct history_reader *r, const char *deployment, uint32_t a, uint32_t b,
			  struct generations_diff *ret, struct buffer *why)
{
	int e = read_side(r, deployment, b, &ret->b, why);

	if (e != 0)
		return e;
	if (!a && !ret->b.before) {
		refuse_first(r, deployment, b, why);
		return DATABASE_MISSING;
	}
	e = read_side(r, deployment, a ? a : ret->b.before, &ret->a, why);
	if (e == 0) {
		ret->backwards = ret->b.number < ret->a.number;
		walk(r, deployment, ret->backwards ? ret->a.number : ret->b.number,
		     ret->backwards ? ret->b.number : ret->a.number, ret);
	}
	return e;
}

/* Comparing */

static char *path_of(const char *state_dir, const char *hash, const char *suffix)
{
	struct hash h;

	return hash_from_text(hash, &h) && kept_check(state_dir, h, suffix) == 0 ? kept_path(state_dir, h, suffix) : NULL;
}

static const char *sentence_of(const struct case_run *run)
{
	const struct case_output *worst = NULL;

	for (size_t i = 0; i < run->n_outputs; i++)
		if (!worst || run->outputs[i].outcome > worst->outcome)
			worst = &run->outputs[i];
	return run->sentence ? run->sentence : worst && worst->outcome > CASE_SAME ? worst->sentence : NULL;
}

static void take_answer(void *context, const char *what, const struct case_run *run)
{
	struct generations_diff *d = context;
	struct answer_diff *a;

	d->answers = xrealloc(d->answers, (d->n_answers + 1) * sizeof(*d->answers));
	a = &d->answers[d->n_answers++];
	*a = (struct answer_diff){ .what = xstrdup(what), .outcome = run->outcome };
	if (sentence_of(run))
		a->sentence = xstrdup(sentence_of(run));
	for (size_t i = 0; i < run->n_outputs; i++) {
		const struct comparison *c = &run->outputs[i].comparison;

		a->max_abs = c->max_abs > a->max_abs ? c->max_abs : a->max_abs;
		a->max_rel = c->max_rel > a->max_rel ? c->max_rel : a->max_rel;
	}
}

static void add_function(struct generations_diff *d, const struct assembly_function *before, const struct assembly_function *after)
{
	struct function_diff *f;

	d->functions = xrealloc(d->functions, (d->n_functions + 1) * sizeof(*d->functions));
	f = &d->functions[d->n_functions++];
	*f = (struct function_diff){ .name = xstrdup(before ? before->name : after->name),
				     .before = before ? xstrdup(before->text) : NULL,
				     .after = after ? xstrdup(after->text) : NULL,
				     .n_before = before ? before->n : 0,
				     .n_after = after ? after->n : 0 };
}

static void compare_code(struct generations_diff *d, const struct assembly *before, const struct assembly *after)
{
	for (size_t i = 0; i < after->n; i++) {
		const struct assembly_function *was = assembly_find(before, after->functions[i].name);

		if (was && strcmp(was->text, after->functions[i].text) == 0)
			d->n_same++;
		else
			add_function(d, was, &after->functions[i]);
	}
	for (size_t i = 0; i < before->n; i++)
		if (!assembly_find(after, before->functions[i].name))
			add_function(d, &before->functions[i], NULL);
}

/* Cases name images by absolute paths: theirs would begin where the case lies. */
static char *absolute_state_directory(const struct generations_place *place)
{
	char *given = state_directory(place->root, place->state_dir), *real = realpath(given, NULL);

	if (!real)
		return given;
	free(given);
	return real;
}

/* Where those are that it had; NULL: it had none, or they have gone (d->unasked). */
static char *weights_of(const char *state_dir, const struct generation_side *s, struct generations_diff *d)
{
	_cleanup_free_ char *directory = path_join(state_dir, "weights");
	char *path;
	struct hash h;

	if (!hash_from_text(s->weights, &h) || hash_is_zero(h))
		return NULL;
	path = weights_index_path(directory, h);
	if (file_exists(path))
		return path;
	free(path);
	if (!d->unasked)
		d->unasked = xasprintf("can't be compared: the weights of generation %" PRIu32 " aren't there any more; "
				       "they are kept of what serves, and of the one before it", s->number);
	return NULL;
}

static int compare_answers(struct generations_diff *d, const struct generations_place *place, const char *state_dir,
			   const struct numbers_options *images, struct buffer *why)
{
	_cleanup_free_ char *a = weights_of(state_dir, &d->a, d), *b = weights_of(state_dir, &d->b, d);
	struct numbers_options o = *images;

	o.name = place->name;
	o.root = place->root;
	o.state_dir = place->state_dir;
	o.before.weights = a;
	o.after.weights = b;
	return d->unasked ? 0 : numbers_diff(&o, take_answer, d, why);
}

int generations_diff_compare(struct generations_diff *d, const struct generations_place *place, struct buffer *why)
{
	_cleanup_free_ char *state_dir = absolute_state_directory(place);
	_cleanup_free_ char *a = path_of(state_dir, d->a.image, KEPT_IMAGE), *b = path_of(state_dir, d->b.image, KEPT_IMAGE);
	_cleanup_free_ char *device_a = path_of(state_dir, d->a.device, KEPT_DEVICE);
	_cleanup_free_ char *device_b = path_of(state_dir, d->b.device, KEPT_DEVICE);
	const struct numbers_options images = { .before = { a, device_a, NULL }, .after = { b, device_b, NULL } };
	struct assembly before = ASSEMBLY_NULL, after = ASSEMBLY_NULL;
	int r = 0;

	d->has_images = a && b;
	if (!d->has_images)
		return 0;
	r = compare_answers(d, place, state_dir, &images, why);
	if (r == 0)
		r = assembly_read(a, &before, why);
	if (r == 0)
		r = assembly_read(b, &after, why);
	if (r == 0)
		compare_code(d, &before, &after);
	d->other_constants = r == 0 && !constants_equal(&before.constants, &after.constants);
	assembly_fini(&before);
	assembly_fini(&after);
	return r;
}

/* Freeing */

static void side_fini(struct generation_side *s)
{
	free(s->flags);
	free(s->compiler);
	free(s->image);
	free(s->device);
	free(s->weights);
	for (size_t i = 0; i < s->n_files; i++) {
		free(s->files[i].path);
		free(s->files[i].text);
	}
	free(s->files);
}

void generations_diff_fini(struct generations_diff *d)
{
	side_fini(&d->a);
	side_fini(&d->b);
	free(d->steps);
	for (size_t i = 0; i < d->n_answers; i++) {
		free(d->answers[i].what);
		free(d->answers[i].sentence);
	}
	free(d->answers);
	free(d->unasked);
	for (size_t i = 0; i < d->n_functions; i++) {
		free(d->functions[i].name);
		free(d->functions[i].before);
		free(d->functions[i].after);
	}
	free(d->functions);
}

/* Telling */

static int diff_file(const struct generations_diff *d, const struct generation_file *before,
		     const struct generation_file *after, bool color, struct buffer *ret, struct buffer *why)
{
	const char *path = before ? before->path : after->path;
	_cleanup_free_ char *was = xasprintf("%s (gen %" PRIu32 ")", path, d->a.number);
	_cleanup_free_ char *is = xasprintf("%s (gen %" PRIu32 ")", path, d->b.number);

	if (before && after && strcmp(before->text, after->text) == 0)
		return 0;
	return text_diff(before ? before->text : NULL, after ? after->text : NULL, was, is, color, ret, why);
}

int generations_diff_source(const struct generations_diff *d, bool color, struct buffer *ret, struct buffer *why)
{
	size_t i = 0, k = 0;
	int r = 0;

	while (r == 0 && (i < d->a.n_files || k < d->b.n_files)) {
		const struct generation_file *before = i < d->a.n_files ? &d->a.files[i] : NULL;
		const struct generation_file *after = k < d->b.n_files ? &d->b.files[k] : NULL;
		int order = !before ? 1 : !after ? -1 : strcmp(before->path, after->path);

		i += order <= 0;
		k += order >= 0;
		r = diff_file(d, order <= 0 ? before : NULL, order >= 0 ? after : NULL, color, ret, why);
	}
	return r;
}

static bool is_told(const struct speed_step *s)
{
	return strcmp(s->verdict, "FASTER") == 0 || strcmp(s->verdict, "SLOWER") == 0;
}

/* Of all steps together; false: one of them isn't known. */
static bool total_ratio(const struct generations_diff *d, double *ret, uint32_t *ret_unknown)
{
	double ratio = 1;

	for (size_t i = 0; i < d->n_steps; i++) {
		const struct speed_step *s = &d->steps[i];

		if (is_told(s) && s->ratio > 0)
			ratio *= s->ratio;
		else if (strcmp(s->verdict, "SAME") != 0) {
			*ret_unknown = s->number;
			return false;
		}
	}
	*ret = d->backwards ? 1 / ratio : ratio;
	return true;
}

static void put_unknown(const struct generations_diff *d, uint32_t number, struct buffer *ret)
{
	const struct speed_step *s = d->steps;

	while (s->number != number)
		s++;
	if (!*s->verdict)
		buffer_printf(ret, "not known: there is no verdict about generation %" PRIu32, number);
	else if (s->ratio > 0)
		buffer_printf(ret, "not known: the verdict about generation %" PRIu32 " is unsure", number);
	else
		buffer_printf(ret, "not known: generation %" PRIu32 " could not be measured", number);
}

static void put_ratio(struct buffer *ret, double ratio)
{
	if (ratio == 1)
		buffer_puts(ret, "same");
	else
		buffer_printf(ret, "%.2f× %s", ratio > 1 ? ratio : 1 / ratio, ratio > 1 ? "faster" : "slower");
}

static void put_interval(struct buffer *ret, const struct speed_step *s, double ratio, bool backwards)
{
	double low = backwards ? 1 / s->high : s->low, high = backwards ? 1 / s->low : s->high;

	if (ratio > 1)
		buffer_printf(ret, " [%.2f, %.2f]", low, high);
	else
		buffer_printf(ret, " [%.2f, %.2f]", 1 / high, 1 / low);
}

void generations_diff_speed(const struct generations_diff *d, struct buffer *ret)
{
	uint32_t unknown = 0;
	double ratio;

	if (!d->n_steps) {
		buffer_puts(ret, "not compared: neither came of the other");
	} else if (!total_ratio(d, &ratio, &unknown)) {
		put_unknown(d, unknown, ret);
	} else {
		put_ratio(ret, ratio);
		if (d->n_steps == 1 && is_told(&d->steps[0]) && d->steps[0].low > 0)
			put_interval(ret, &d->steps[0], ratio, d->backwards);
		if (d->n_steps > 1)
			buffer_printf(ret, ", by the %zu verdicts in between", d->n_steps);
	}
}

static void put_side(struct buffer *json, const char *key, const struct generation_side *s)
{
	json_object(json, key);
	json_uint(json, "generation", s->number);
	json_string(json, "flags", s->flags);
	json_string(json, "compiler", s->compiler);
	json_bool(json, "kept", *s->image != '\0');
	json_object_end(json);
}

static void put_answers(struct buffer *json, const struct generations_diff *d)
{
	json_array(json, "answers");
	for (size_t i = 0; i < d->n_answers; i++) {
		const struct answer_diff *a = &d->answers[i];

		json_object(json, NULL);
		json_string(json, "request", a->what);
		json_string(json, "outcome", case_outcome_name(a->outcome));
		json_string(json, "reason", a->sentence);
		json_double(json, "max_abs", a->max_abs);
		json_double(json, "max_rel", a->max_rel);
		json_object_end(json);
	}
	json_array_end(json);
}

static void put_functions(struct buffer *json, const struct generations_diff *d)
{
	json_array(json, "functions");
	for (size_t i = 0; i < d->n_functions; i++) {
		const struct function_diff *f = &d->functions[i];

		json_object(json, NULL);
		json_string(json, "name", f->name);
		json_string(json, "before", f->before);
		json_string(json, "after", f->after);
		json_uint(json, "instructions_before", f->n_before);
		json_uint(json, "instructions_after", f->n_after);
		json_object_end(json);
	}
	json_array_end(json);
}

int generations_diff_json(const struct generations_diff *d, struct buffer *json, struct buffer *why)
{
	_cleanup_buffer_ struct buffer source = BUFFER_NULL;
	int r = generations_diff_source(d, false, &source, why);
	uint32_t unknown;
	double ratio;

	if (r != 0)
		return r;
	put_side(json, "a", &d->a);
	put_side(json, "b", &d->b);
	json_string(json, "source", buffer_text(&source));
	if (d->n_steps && total_ratio(d, &ratio, &unknown))
		json_double(json, "ratio", ratio);
	if (!d->has_images)
		return 0;
	json_string(json, "unasked", d->unasked);
	put_answers(json, d);
	put_functions(json, d);
	json_bool(json, "constants_differ", d->other_constants);
	return 0;
}
