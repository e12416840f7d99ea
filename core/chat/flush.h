#pragma once

/*
 * Writes what rooms got in a turn to their members of one loop.
 *
 * Threads: the shard's loop.
 * Owns: nothing; what it has under way stands in the shard.
 */

struct room_part;
struct shard;

/* Lets large rooms be written to by io_uring, or says in the log why not. On the thread that
 * creates the shard, too. */
void flush_open_burst(struct shard *shard);

/* Writes one part's batch, which is full. */
void flush_part(struct shard *shard, struct room_part *part);

/* Ends the turn for all parts that have a batch. */
void flush_dirty(struct shard *shard);
