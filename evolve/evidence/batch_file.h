/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_EVIDENCE_BATCH_FILE_H
#define MOSS_EVIDENCE_BATCH_FILE_H

/* What batch.c and seal.c share about batches/<id>/. */

#include "batch.h"

bool batch_id_valid(const char *id);

/* batches/<id>/batch.json, checked. */
int batch_read_json(int batch_dir, const char *id, json_t **ret, Error *e);

/* Of the "tasks" member. */
int batch_digest(const json_t *tasks, char ret[static DIGEST_SIZE]);

#endif
