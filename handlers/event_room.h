#pragma once

/*
 * room:join and room:leave (EVENTS: rooms by right, events). Both are carried out in the mailbox,
 * so that a client's own messages keep their place before and behind them; the reply to a join goes
 * out once Redis has confirmed the subscription (BUS_AWAIT_MS at most), so that nothing that is
 * published after it is missed.
 *
 * Threads: the client's loop.
 */

struct event_call;

void event_room_join(const struct event_call *call);
void event_room_leave(const struct event_call *call);
