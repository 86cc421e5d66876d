/* SPDX-License-Identifier: MIT */
#include "serve/fault.h"

#include "base/memory.h"
#include "deploy/proof.h"
#include "golden/cases.h"
#include "serve/cases.h"
#include "serve/plugin.h"

void fault_keep(const struct plugin *p, const struct case_facts *facts, struct proof_summary *proof)
{
	_cleanup_free_ char *golden = xasprintf("%s/" GOLDEN_DIRECTORY "/%s", p->path, proof->golden);
	struct cases *cases = p->plugins->keep_records ? p->plugins->cases : NULL;
	uint64_t id;

	if (!cases || !proof->n_faults || proof->fault.outcome == PROOF_UNREADABLE)
		return; /* nothing was run that could run again */
	if (proof->recording && cases_keep(cases, p->deployment, proof->recording, facts, NULL, NULL) == 0)
		proof->replay = proof->recording;
	else if (proof->golden[0] && cases_keep_golden(cases, p->deployment, golden, facts, NULL, NULL, &id) == 0)
		proof->replay = id;
}
