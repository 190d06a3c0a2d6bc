/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * move.pml - who owns a slice, whatever fails: the protocol of moves for spin
 *
 * One slice, NV VMs, one orchestrator that is killed and starts again.  Each VM
 * is its engine and its guest: the lines of slice/table.c, what move.c and
 * arrive.c do about them, and in between what the guest may answer when.  The
 * orchestrator is daemon/move.c and mover.c, with what its store has on disk.
 *
 * What happens: MOVES moves of the orchestrator, from wherever the slice is to
 * any other VM, and FINDS moves that an engine makes by itself under a term that
 * it was leased (a find); both may want the slice at the same time.
 *
 * What fails, how often (-D sets the budgets):
 *   CRASHES    a VM is destroyed, or dies by itself
 *   RESTARTS   the orchestrator is killed, at any of its steps; commands of
 *              its that were under way arrive at any later time
 *   CUTS       a connection of the stream ends with all that is on it
 *   SUSPECTS   a VM is stopped, and a restarted orchestrator misses it
 *   PACKETS    of the client: each may come out at any VM that the switch has
 *              ever led to, at any time
 * A stopped participant that comes back is delay, and time-outs of others:
 * every time-out may strike at any moment, each message may take any time.
 *
 * Claims: the assertions below, and the formula `ends`.  Mutations, each of
 * which must break one (test-model.c): NO_TERM_CHECK RESUME_ON_EOF OPEN_AT_PLUG
 * NO_JOURNAL NO_FENCE FORGET_FIRST NO_ADOPTION FORGOT_ONCE FORGOTTEN_NOT_WRITTEN
 * DEATH_NOT_SEEN.
 *
 * Names are the code's (test-names.c compares them); those of the code that the
 * model has no use for:
 *   STATE_     SliceState, qapi/slice.json
 *              not here: STATE_DEAD (a guest that is reset ends its slices)
 *   ANSWER_    SliceAnswer, qapi/slice.json
 *              not here: ANSWER_REFUSED (as BUSY)
 *   STEP_      SliceStep, qapi/slice.json
 *              not here: STEP_PREPARED STEP_SENT STEP_PLUGGED (nobody waits for them)
 *   MSG_       SliceMessage, slice/table.h: those that the orchestrator sends
 *              not here: MSG_REFUSED MSG_PLUGGED MSG_DELTA MSG_FORGOT MSG_CANCELLED
 *              (STREAM_ frames) MSG_GIVE_UP MSG_GUEST_PLUGGED MSG_GUEST_REFUSED
 *              (steps of the process Vm)
 *   STREAM_    frames, slice/stream.h
 *              not here: STREAM_HELLO (shake_hands) STREAM_PING STREAM_PONG
 *              STREAM_CREDIT STREAM_DELTA STREAM_PACKET STREAM_RETURN
 *              STREAM_FIND STREAM_FOUND (the find itself changes nothing)
 *   DECISION_  SliceDecision, daemon/store.h
 */
#ifndef NV
#define NV 2
#endif
#ifndef MOVES
#define MOVES 1
#endif
#ifndef FINDS
#define FINDS 0
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef RESTARTS
#define RESTARTS 1
#endif
#ifndef CUTS
#define CUTS 1
#endif
#ifndef SUSPECTS
#define SUSPECTS 0
#endif
#ifndef PACKETS
#define PACKETS 2
#endif

#define TERMS (2 + MOVES + FINDS) /* 1 is the slice's first */
#define NOBODY NV

mtype = {
    NONE, /* no entry in the table */
    STATE_OWNER, STATE_MOVING, STATE_SENT, STATE_GONE, STATE_RESERVED,
    STATE_PLUGGED,

    MSG_QUIESCE, MSG_UNPLUG, MSG_ABORT, MSG_PREPARE, MSG_CANCEL, MSG_TAKEOVER,

    ANSWER_OK, ANSWER_BUSY, ANSWER_STALE_ORCHESTRATOR, ANSWER_NOT_FOUND,
    ANSWER_RESUMED, ANSWER_FORGOTTEN, ANSWER_NOT_MINE, ANSWER_IS_OWNER,
    ANSWER_STALE,

    STREAM_DELTA_END, STREAM_FORGOT, STREAM_CANCELLED, STREAM_PLUGGED,
    STREAM_REFUSED, STREAM_RESERVE, STREAM_RESERVED,

    STEP_QUIESCED, STEP_GONE, STEP_DONE, STEP_RESUMED, STEP_DISCARDED, STEP_FAILED,

    DECISION_NONE, DECISION_ABORT, DECISION_TAKEOVER, DECISION_FORGOTTEN
};

/* ---- engines and their guests ---- */

bool alive[NV];
mtype state[NV];    /* of the table's entry */
byte term[NV];
byte peer[NV];
byte seen_by[NV];   /* highest incarnation of an orchestrator */
bool quiet[NV];     /* source: no reference is held any more */
bool whole[NV];     /* the image is complete here */
bool draining[NV];  /* target: TAKEOVER has been */
bool by_itself[NV]; /* source: the engine's own move; target: by RESERVE, which lapses */
bool owes[NV];      /* source: FORGOT has not been seen to arrive */
byte version[NV];   /* of the session's state: how much its client has done */
byte lease[NV];     /* a term for a move of its own, 0: none */
byte asked[NV];     /* the term under which it has asked a peer for room */
byte asked_peer[NV];

/* ---- between engines: a connection for each ordered pair ---- */

#define PAIR(s, t) ((s) * NV + (t))
bool up[NV * NV];
chan to_target[NV * NV] = [6] of { mtype, byte, byte }; /* frame, term, version */
chan to_source[NV * NV] = [6] of { mtype, byte, byte };

/* ---- the orchestrator ---- */

byte incarnation;
bool killed;
/* A monitor's socket for each of two incarnations: the older one's last words. */
chan command[NV * 2] = [3] of { mtype, byte, byte, byte }; /* message, term, incarnation, peer */
/* The answer that it waits for. */
mtype want = NONE;
byte want_vm, want_term;
mtype answer = NONE;
/* Events of the move under way. */
mtype event_source = NONE, event_target = NONE;
byte next_term = 2;
/* On disk. */
byte open_term, open_source, open_target;
mtype decision[TERMS];
/* For the claims. */
byte source_of[TERMS];
bool forgotten_heard[TERMS];

/* ---- the world ---- */

byte moves = MOVES, finds = FINDS, crashes = CRASHES, restarts = RESTARTS;
byte cuts = CUTS, suspects = SUSPECTS, packets = PACKETS;
byte route;         /* where the switch leads the client's packets */
byte led;           /* VMs that it has ever led to, as bits */
byte client_has;    /* the newest state that the client has seen */
bool may_be_lost;

#ifdef NO_TERM_CHECK
#define SAME_TERM(v, t) true
#define LATER_TERM(v, t) true
#else
#define SAME_TERM(v, t) (term[v] == (t))
#define LATER_TERM(v, t) ((t) > term[v])
#endif
#ifdef FORGOT_ONCE
#define OWES false
#else
#define OWES true
#endif
#ifdef NO_FENCE
#define FENCES false
#else
#define FENCES true
#endif
#ifdef DEATH_NOT_SEEN
#define SEEN false
#else
#define SEEN true
#endif
#ifdef NO_JOURNAL
#define WRITTEN(t, what) DECISION_NONE
#else
#define WRITTEN(t, what) what
#endif
#ifdef FORGOTTEN_NOT_WRITTEN
#define HEARD DECISION_ABORT
#else
#define HEARD DECISION_FORGOTTEN
#endif
#define RUNS(v) (state[v] == STATE_OWNER || state[v] == STATE_MOVING)
#define IN_TRANSIT(v) (state[v] == STATE_MOVING || state[v] == STATE_SENT || \
                       state[v] == STATE_RESERVED || state[v] == STATE_PLUGGED)
/* Its clients hear nothing of it, and it may still have to run again. */
#define KEEPS(v) (alive[v] && (RUNS(v) || state[v] == STATE_SENT))

/* slice_conn_send: to where a connection stands, else it is lost. */
inline send_to_target(from, to, frame, about, content) {
    if
    :: up[PAIR(from, to)] && alive[to] -> assert(nfull(to_target[PAIR(from, to)]));
       to_target[PAIR(from, to)]!frame, about, content
    :: else
    fi
}

inline send_to_source(from, to, frame, about, content) {
    if
    :: up[PAIR(from, to)] && alive[from] -> assert(nfull(to_source[PAIR(from, to)]));
       to_source[PAIR(from, to)]!frame, about, content
    :: else
    fi
}

inline hang_up(from, to) {
    do
    :: nempty(to_target[PAIR(from, to)]) -> to_target[PAIR(from, to)]?_, _, _
    :: nempty(to_source[PAIR(from, to)]) -> to_source[PAIR(from, to)]?_, _, _
    :: empty(to_target[PAIR(from, to)]) && empty(to_source[PAIR(from, to)]) -> break
    od;
    up[PAIR(from, to)] = false
}

inline tell_source_step(v, step) {
    if
    :: open_term == term[v] && open_source == v -> event_source = step
    :: else
    fi
}

inline tell_target_step(v, step) {
    if
    :: open_term == term[v] && open_target == v -> event_target = step
    :: else
    fi
}

inline rest(v) {
    quiet[v] = false; whole[v] = false; draining[v] = false; by_itself[v] = false
}

/* The guest has it open from here on. */
inline run_at(v) {
    state[v] = STATE_OWNER;
    rest(v);
    one = 0;
    do
    :: one < NV -> assert(one == v || !KEEPS(one)); one++
    :: else -> break
    od;
    one = 0
}

inline resume(v) {
    send_to_target(v, peer[v], STREAM_CANCELLED, term[v], 0);
    if
    :: state[v] == STATE_MOVING && !quiet[v] -> run_at(v); tell_source_step(v, STEP_FAILED)
    :: state[v] == STATE_SENT || quiet[v] -> run_at(v); tell_source_step(v, STEP_RESUMED)
    fi
}

inline discard(v) {
    state[v] = STATE_GONE;
    rest(v);
    tell_target_step(v, STEP_DISCARDED)
}

inline forget(v) {
    state[v] = STATE_GONE;
    rest(v);
    may_be_lost = may_be_lost || !alive[peer[v]]; /* PLUGGED was its last word */
    owes[v] = OWES;
    tell_source_step(v, STEP_GONE)
}

inline open_at(v) {
    run_at(v);
    tell_target_step(v, STEP_DONE)
}

#define REPLY(a) if :: want == m && want_vm == v && want_term == t && \
                       who == incarnation -> answer = a :: else fi

/* A command of the orchestrator: lines of the table that it can cause. */
inline obey() {
    if
    :: who < seen_by[v] -> REPLY(ANSWER_STALE_ORCHESTRATOR)
    :: else -> seen_by[v] = who;
       if
       :: m == MSG_PREPARE ->
          if
          :: state[v] == NONE || (state[v] == STATE_GONE && t > term[v]) ->
             state[v] = STATE_RESERVED; term[v] = t; peer[v] = p; owes[v] = false;
             REPLY(ANSWER_OK)
          :: state[v] == STATE_OWNER && term[v] == t -> REPLY(ANSWER_IS_OWNER)
          :: else -> REPLY(ANSWER_BUSY)
          fi
       :: m == MSG_QUIESCE ->
          if
          :: state[v] == STATE_OWNER && LATER_TERM(v, t) ->
             state[v] = STATE_MOVING; term[v] = t; peer[v] = p;
             REPLY(ANSWER_OK)
          :: state[v] == STATE_GONE -> REPLY(ANSWER_NOT_MINE)
          :: state[v] == NONE -> REPLY(ANSWER_NOT_FOUND)
          :: else -> REPLY(ANSWER_BUSY)
          fi
       :: m == MSG_UNPLUG ->
          if
          :: state[v] == STATE_MOVING && SAME_TERM(v, t) ->
             if
             :: quiet[v] -> state[v] = STATE_SENT; REPLY(ANSWER_OK)
             :: else -> REPLY(ANSWER_BUSY)
             fi
          :: state[v] == STATE_GONE -> REPLY(ANSWER_NOT_MINE)
          :: state[v] == NONE -> REPLY(ANSWER_NOT_FOUND)
          :: else -> REPLY(ANSWER_STALE)
          fi
       :: m == MSG_ABORT ->
          if
          :: (state[v] == STATE_MOVING || state[v] == STATE_SENT) && SAME_TERM(v, t) ->
             resume(v); REPLY(ANSWER_RESUMED)
          :: state[v] == STATE_OWNER && term[v] == t -> REPLY(ANSWER_RESUMED)
          :: state[v] == STATE_OWNER && term[v] != t ->
             if
             :: t > term[v] -> term[v] = t /* burnt */
             :: else
             fi;
             REPLY(ANSWER_NOT_MINE)
          :: state[v] == STATE_GONE && SAME_TERM(v, t) -> REPLY(ANSWER_FORGOTTEN)
          :: state[v] == STATE_GONE && !SAME_TERM(v, t) -> REPLY(ANSWER_NOT_MINE)
          :: state[v] == NONE -> REPLY(ANSWER_NOT_FOUND)
          :: else -> REPLY(ANSWER_STALE)
          fi
       :: m == MSG_CANCEL ->
          if
          :: (state[v] == STATE_RESERVED || state[v] == STATE_PLUGGED) && SAME_TERM(v, t) ->
             discard(v); REPLY(ANSWER_OK)
          :: state[v] == STATE_OWNER && term[v] == t -> REPLY(ANSWER_IS_OWNER)
          :: else -> REPLY(ANSWER_STALE)
          fi
       :: m == MSG_TAKEOVER ->
          if
          :: state[v] == STATE_PLUGGED && SAME_TERM(v, t) -> open_at(v); REPLY(ANSWER_IS_OWNER)
          :: state[v] == STATE_RESERVED && SAME_TERM(v, t) -> draining[v] = true; REPLY(ANSWER_BUSY)
          :: state[v] == STATE_OWNER && term[v] == t -> REPLY(ANSWER_IS_OWNER)
          :: else -> REPLY(ANSWER_STALE)
          fi
       fi
    fi
}

/* A frame from a source @p at its target @v. */
inline arrive() {
    if
    :: m == STREAM_RESERVE ->
       if
       :: state[v] == NONE || (state[v] == STATE_GONE && t > term[v]) ->
          state[v] = STATE_RESERVED; term[v] = t; peer[v] = p; owes[v] = false;
          by_itself[v] = true;
          send_to_source(p, v, STREAM_RESERVED, t, 1)
       :: else -> send_to_source(p, v, STREAM_RESERVED, t, 0)
       fi
    :: m == STREAM_DELTA_END ->
       if
       :: peer[v] == p && state[v] == STATE_RESERVED && SAME_TERM(v, t) ->
          if
          :: !whole[v] -> whole[v] = true; version[v] = what
          :: else
          fi
       :: peer[v] == p && state[v] == STATE_PLUGGED && SAME_TERM(v, t) ->
          send_to_source(p, v, STREAM_PLUGGED, t, 0)
       :: peer[v] == p && state[v] == STATE_OWNER && term[v] == t -> skip
       :: else -> send_to_source(p, v, STREAM_REFUSED, t, 0)
       fi
    :: m == STREAM_FORGOT ->
       owes[p] = false;
       if
       :: peer[v] == p && state[v] == STATE_PLUGGED && SAME_TERM(v, t) -> open_at(v)
       :: else
       fi
    :: m == STREAM_CANCELLED ->
       if
       :: peer[v] == p && SAME_TERM(v, t) &&
          (state[v] == STATE_RESERVED || state[v] == STATE_PLUGGED) -> discard(v)
       :: else
       fi
    fi
}

/* A frame from a target @p at its source @v. */
inline depart() {
    if
    :: m == STREAM_RESERVED ->
       if
       :: asked[v] == t && what == 1 && state[v] == STATE_OWNER && t > term[v] ->
          state[v] = STATE_MOVING; term[v] = t; peer[v] = p; by_itself[v] = true;
          asked[v] = 0
       :: else ->
          if
          :: asked[v] == t -> asked[v] = 0
          :: else
          fi;
          if
          :: what == 1 -> send_to_target(v, p, STREAM_CANCELLED, t, 0)
          :: else
          fi
       fi
    :: m == STREAM_PLUGGED ->
       if
       :: peer[v] == p && state[v] == STATE_SENT && whole[v] && SAME_TERM(v, t) ->
          forget(v); send_to_target(v, p, STREAM_FORGOT, t, 0)
       :: peer[v] == p && state[v] == STATE_GONE && SAME_TERM(v, t) ->
          send_to_target(v, p, STREAM_FORGOT, t, 0)
       :: else -> send_to_target(v, p, STREAM_CANCELLED, t, 0)
       fi
    :: m == STREAM_REFUSED ->
       if
       :: peer[v] == p && SAME_TERM(v, t) &&
          (state[v] == STATE_MOVING || state[v] == STATE_SENT) -> resume(v)
       :: else
       fi
    fi
}

/* Would a connection from @s to @t be dialled? */
#define WANTED(s, t) (peer[s] == (t) && (state[s] == STATE_MOVING || state[s] == STATE_SENT || \
                                         (state[s] == STATE_GONE && owes[s])) || \
                      asked[s] != 0 && asked_peer[s] == (t))

/* HELLO has gone both ways: slice_move_peer_ready, slice_arrive_conn_ready. */
inline shake_hands(from, to) {
    up[PAIR(from, to)] = true;
    if
    :: state[from] == STATE_SENT && peer[from] == to && whole[from] ->
       send_to_target(from, to, STREAM_DELTA_END, term[from], version[from])
    :: else
    fi;
    if
    :: state[to] == STATE_PLUGGED && peer[to] == from ->
       send_to_source(from, to, STREAM_PLUGGED, term[to], 0)
    :: else
    fi
}

proctype Vm(byte v)
{
    mtype m;
    byte t, who, p, what, one;

end_wait:
    do
    /* the orchestrator's commands, of this incarnation and of the one before */
    :: atomic { alive[v] && nempty(command[v * 2]) ->
           command[v * 2]?m, t, who, p; obey(); m = 0; t = 0; who = 0; p = 0 }
    :: atomic { alive[v] && nempty(command[v * 2 + 1]) ->
           command[v * 2 + 1]?m, t, who, p; obey(); m = 0; t = 0; who = 0; p = 0 }

    /* the stream */
    :: atomic { alive[v] && nempty(to_target[PAIR(0, v)]) -> p = 0;
           to_target[PAIR(0, v)]?m, t, what; arrive(); m = 0; t = 0; what = 0; p = 0 }
    :: atomic { alive[v] && nempty(to_target[PAIR(1, v)]) -> p = 1;
           to_target[PAIR(1, v)]?m, t, what; arrive(); m = 0; t = 0; what = 0; p = 0 }
    :: atomic { alive[v] && nempty(to_source[PAIR(v, 0)]) -> p = 0;
           to_source[PAIR(v, 0)]?m, t, what; depart(); m = 0; t = 0; what = 0; p = 0 }
    :: atomic { alive[v] && nempty(to_source[PAIR(v, 1)]) -> p = 1;
           to_source[PAIR(v, 1)]?m, t, what; depart(); m = 0; t = 0; what = 0; p = 0 }
#if NV > 2
    :: atomic { alive[v] && nempty(to_target[PAIR(2, v)]) -> p = 2;
           to_target[PAIR(2, v)]?m, t, what; arrive(); m = 0; t = 0; what = 0; p = 0 }
    :: atomic { alive[v] && nempty(to_source[PAIR(v, 2)]) -> p = 2;
           to_source[PAIR(v, 2)]?m, t, what; depart(); m = 0; t = 0; what = 0; p = 0 }
#endif
    :: atomic { alive[v] && asked[v] == 0 && peer[v] < NV && WANTED(v, peer[v]) &&
                alive[peer[v]] && !up[PAIR(v, peer[v])] ->
           p = peer[v]; shake_hands(v, p); p = 0 }

    /* the source's guest, and its deadline */
    :: atomic { alive[v] && state[v] == STATE_MOVING && !quiet[v] && up[PAIR(v, peer[v])] ->
           quiet[v] = true; tell_source_step(v, STEP_QUIESCED) }
    :: atomic { alive[v] && state[v] == STATE_MOVING && quiet[v] && by_itself[v] ->
           state[v] = STATE_SENT }
    :: atomic { alive[v] && state[v] == STATE_SENT && !whole[v] -> whole[v] = true;
           send_to_target(v, peer[v], STREAM_DELTA_END, term[v], version[v])
#ifdef FORGET_FIRST
           ; forget(v)
#endif
       }
    :: atomic { alive[v] && (state[v] == STATE_MOVING || (state[v] == STATE_SENT && !whole[v])) ->
           resume(v) }
#ifdef RESUME_ON_EOF
    :: atomic { alive[v] && state[v] == STATE_SENT && whole[v] && !up[PAIR(v, peer[v])] ->
           resume(v) }
#endif

    /* the target's guest */
    :: atomic { alive[v] && state[v] == STATE_RESERVED && whole[v] ->
           if
           :: state[v] = STATE_PLUGGED;
#ifdef OPEN_AT_PLUG
              open_at(v);
#endif
              if
              :: draining[v] -> open_at(v)
              :: else -> send_to_source(peer[v], v, STREAM_PLUGGED, term[v], 0)
              fi
           :: send_to_source(peer[v], v, STREAM_REFUSED, term[v], 0); discard(v)
           fi }
    :: atomic { alive[v] && state[v] == STATE_RESERVED && by_itself[v] && !whole[v] ->
           send_to_source(peer[v], v, STREAM_REFUSED, term[v], 0); discard(v) }
    /* a dead source's stream has ended before all was here, or was cut */
    :: atomic { alive[v] && state[v] == STATE_RESERVED && draining[v] && !whole[v] &&
                (alive[peer[v]] || empty(to_target[PAIR(peer[v], v)])) ->
           p = peer[v]; hang_up(p, v); discard(v); p = 0 }

    /* a find: the engine's own move */
    :: atomic { alive[v] && finds > 0 && state[v] == STATE_OWNER && lease[v] > term[v] &&
                asked[v] == 0 -> finds--; asked[v] = lease[v]; lease[v] = 0;
           source_of[asked[v]] = v;
           if
           :: asked_peer[v] = (v + 1) % NV
#if NV > 2
           :: asked_peer[v] = (v + 2) % NV
#endif
           fi;
           if
           :: alive[asked_peer[v]] -> up[PAIR(v, asked_peer[v])] = true;
              send_to_target(v, asked_peer[v], STREAM_RESERVE, asked[v], 0)
           :: else -> asked[v] = 0
           fi }
    :: atomic { alive[v] && asked[v] != 0 -> asked[v] = 0; asked_peer[v] = 0 } /* time-out */

    :: !alive[v] -> break
    od
}

/* ---- the orchestrator ---- */

#define ANY_OWNER ((alive[0] && state[0] == STATE_OWNER) || (alive[1] && state[1] == STATE_OWNER) || \
                   (NV > 2 && alive[NV - 1] && state[NV - 1] == STATE_OWNER))
#define STRAYS(v) (alive[v] && IN_TRANSIT(v))

/* Wait for nothing any more: what comes is of an older situation. */
inline ignore_answers() {
    want = NONE; want_vm = 0; want_term = 0; answer = NONE
}

inline order(v, what) {
    if
    :: atomic { nfull(command[(v) * 2 + incarnation % 2]) ->
           want = what; want_vm = v; want_term = t; answer = NONE;
           command[(v) * 2 + incarnation % 2]!what, t, incarnation, (v == s -> d : s) }
    :: !alive[v]
    fi
}

inline lead_to(v) {
    atomic { route = v; led = led | (1 << (v)) }
}

inline decide(what) {
    if
    :: decision[t] == DECISION_NONE -> decision[t] = WRITTEN(t, what)
    :: else
    fi
}

/* A VM ends.  What it had sent may or may not still arrive. */
inline die(v) {
    alive[v] = false;
    may_be_lost = may_be_lost || RUNS(v) || state[v] == STATE_SENT ||
                  ((state[v] == STATE_PLUGGED || state[v] == STATE_RESERVED) &&
                   state[peer[v]] == STATE_GONE && term[peer[v]] == term[v]);
    i = 0;
    do
    :: i < NV ->
       do
       :: nempty(to_target[PAIR(i, v)]) -> to_target[PAIR(i, v)]?_, _, _
       :: nempty(to_source[PAIR(v, i)]) -> to_source[PAIR(v, i)]?_, _, _
       :: empty(to_target[PAIR(i, v)]) && empty(to_source[PAIR(v, i)]) -> break
       od;
       if
       :: nempty(to_target[PAIR(v, i)]) || nempty(to_source[PAIR(i, v)]) ->
          if
          :: hang_up(v, i); hang_up(i, v)
          :: skip
          fi
       :: empty(to_target[PAIR(v, i)]) && empty(to_source[PAIR(i, v)])
       fi;
       i++
    :: else -> break
    od;
    do
    :: nempty(command[(v) * 2]) -> command[(v) * 2]?_, _, _, _
    :: nempty(command[(v) * 2 + 1]) -> command[(v) * 2 + 1]?_, _, _, _
    :: empty(command[(v) * 2]) && empty(command[(v) * 2 + 1]) -> break
    od;
    i = 0
}

/* Not answering is not being dead: the domain is destroyed first. */
inline fence(v) {
    if
    :: FENCES && alive[v] -> die(v)
    :: !FENCES || !alive[v]
    fi
}

inline begin_row() {
    open_term = t; open_source = s; open_target = d; source_of[t] = s;
    event_source = NONE; event_target = NONE
}

/* What an engine tells of a move that is none of ours: the same as a row found on disk. */
inline adopt(v) {
    t = term[v];
    if
    :: state[v] == STATE_MOVING || state[v] == STATE_SENT -> s = v; d = peer[v]
    :: else -> s = peer[v]; d = v
    fi;
    begin_row()
}

inline resolve() {
    quiesced = true; rerouted = true;
    s_lost = !alive[s]; d_lost = !alive[d]
}

inline pick(v) {
    if
    :: alive[0] && state[0] == STATE_OWNER -> v = 0
    :: alive[1] && state[1] == STATE_OWNER -> v = 1
    :: NV > 2 && alive[NV - 1] && state[NV - 1] == STATE_OWNER -> v = NV - 1
    fi
}

proctype Orchestrator()
{
    byte t, s, d, i;
    bool s_lost, d_lost;
    bool quiesced;    /* QUIESCE was sent, and not refused */
    bool rerouted;

again:
    {
        if
        :: atomic { open_term != 0 -> t = open_term; s = open_source; d = open_target; resolve();
               if
               :: suspects > 0 && !s_lost -> suspects--; s_lost = true
               :: suspects > 0 && !d_lost -> suspects--; d_lost = true
               :: true
               fi }
           goto decided
        :: open_term == 0
        fi;

end_idle:
        do
        :: atomic { moves > 0 && ANY_OWNER -> moves--; pick(s);
               if
               :: d = (s + 1) % NV
#if NV > 2
               :: d = (s + 2) % NV
#endif
               fi;
               t = next_term; next_term++; begin_row() }
           goto prepare
        :: atomic { next_term < TERMS && moves == 0 || (next_term < TERMS && finds > 0 &&
                    next_term - 2 < MOVES + FINDS - moves) ->
               if
               :: lease[0] = next_term
               :: lease[1] = next_term
#if NV > 2
               :: lease[2] = next_term
#endif
               fi;
               next_term++ }
#ifndef NO_ADOPTION
        :: atomic { STRAYS(0) -> adopt(0); resolve() } goto decided
        :: atomic { STRAYS(1) -> adopt(1); resolve() } goto decided
#if NV > 2
        :: atomic { STRAYS(2) -> adopt(2); resolve() } goto decided
#endif
#endif
        :: atomic { ANY_OWNER && !(alive[route] && state[route] == STATE_OWNER) -> pick(i) ;
               route = i; led = led | (1 << i); i = 0 }
        od;

prepare:
        order(d, MSG_PREPARE);
        do
        :: answer == ANSWER_OK -> break
        :: answer != ANSWER_OK && answer != NONE -> goto undo
        :: atomic { !alive[d] -> d_lost = true } goto undo
        :: atomic { !alive[s] -> s_lost = true } goto undo
        :: goto undo /* its deadline */
        od;
        quiesced = true;
        order(s, MSG_QUIESCE);
        do
        :: event_source == STEP_QUIESCED -> break
        :: atomic { answer != ANSWER_OK && answer != NONE -> quiesced = false } goto undo
        :: event_source == STEP_FAILED || event_source == STEP_RESUMED -> goto undo
        :: event_target == STEP_DISCARDED -> goto undo
        :: atomic { !alive[d] -> d_lost = true } goto undo
        :: atomic { !alive[s] -> s_lost = true } goto take_over
        :: goto undo
        od;
        rerouted = true;
        lead_to(d);
        order(s, MSG_UNPLUG);
        do
        :: event_target == STEP_DONE -> goto over
        :: event_source == STEP_GONE -> goto settle
        :: answer != ANSWER_OK && answer != NONE -> goto undo
        :: event_source == STEP_FAILED || event_source == STEP_RESUMED -> goto undo
        :: event_target == STEP_DISCARDED -> goto undo
        :: atomic { !alive[d] -> d_lost = true } goto undo
        :: atomic { !alive[s] -> s_lost = true } goto take_over
        :: goto undo
        od;

decided:
        if
        :: decision[t] == DECISION_FORGOTTEN && !d_lost -> goto settle
        :: decision[t] == DECISION_FORGOTTEN && d_lost -> goto over
        :: decision[t] == DECISION_TAKEOVER || (s_lost && decision[t] == DECISION_NONE) ->
           goto take_over
        :: decision[t] == DECISION_ABORT || (!s_lost && decision[t] == DECISION_NONE)
        fi;

undo:
        atomic { ignore_answers(); decide(DECISION_ABORT) }
        if
        :: rerouted && !s_lost -> lead_to(s)
        :: else
        fi;
        do
        :: s_lost || !quiesced -> break
        :: !s_lost && quiesced ->
           order(s, MSG_ABORT);
           do
           :: answer != NONE -> break
           :: atomic { !alive[s] -> s_lost = SEEN } break
           od;
           if
           :: s_lost -> break
           :: !s_lost && answer == NONE /* ask again */
           :: answer == ANSWER_FORGOTTEN -> atomic { forgotten_heard[t] = true;
                  decision[t] = HEARD }
              goto settle
           :: answer == ANSWER_BUSY || answer == ANSWER_STALE_ORCHESTRATOR
           :: else -> break
           fi
        od;
        if
        :: s_lost -> atomic { fence(s) }
        :: !s_lost
        fi;
        if
        :: !d_lost ->
           order(d, MSG_CANCEL);
           do
           :: answer != NONE -> break
           :: !alive[d] -> break
           od
        :: d_lost
        fi;
        goto over;

settle:
        ignore_answers();
        lead_to(d);
        do
        :: !alive[d] -> goto over
        :: alive[d] && state[d] == STATE_OWNER -> goto over
        :: alive[d] && term[d] > t -> goto over /* and it has moved on since */
        :: atomic { !alive[s] -> s_lost = true } goto take_over
        od;

take_over:
        atomic { ignore_answers(); decide(DECISION_TAKEOVER) }
        if
        :: d_lost -> goto over
        :: else
        fi;
        atomic { fence(s) }
        do
        :: order(d, MSG_TAKEOVER);
           do
           :: answer != NONE -> break
           :: !alive[d] -> goto over
           od;
           if
           :: answer == ANSWER_IS_OWNER -> lead_to(d); goto over
           :: answer == ANSWER_BUSY -> /* ask again when it knows */
              if
              :: state[d] != STATE_RESERVED
              :: !alive[d]
              fi
           :: else -> goto over
           fi
        od;

over:
        atomic { ignore_answers(); open_term = 0; open_source = 0; open_target = 0;
            event_source = NONE; event_target = NONE;
            t = 0; s = 0; d = 0; s_lost = false; d_lost = false; quiesced = false;
            rerouted = false }
        goto end_idle
    } unless { killed };
    atomic { killed = false; incarnation++; ignore_answers();
        event_source = NONE; event_target = NONE;
        t = 0; s = 0; d = 0; i = 0; s_lost = false; d_lost = false; quiesced = false;
        rerouted = false }
    goto again
}

/* ---- client, faults, claims ---- */

inline deliver(v) {
    packets--;
    if
    :: !alive[v]
    :: alive[v] && RUNS(v) -> version[v]++;
       /* what the client has seen is what this VM knows */
       assert(version[v] == client_has + 1);
       client_has = version[v]
    :: alive[v] && state[v] == NONE -> assert(false) /* a RST */
    :: alive[v] && !RUNS(v) && state[v] != NONE /* held, forwarded or muted */
    fi
}

inline cut(a, b) {
    cuts--; hang_up(a, b)
}

proctype World()
{
    byte i;

    do
    :: atomic { restarts > 0 && !killed -> restarts--; killed = true }
    :: atomic { crashes > 0 && alive[0] -> crashes--; die(0) }
    :: atomic { crashes > 0 && alive[1] -> crashes--; die(1) }
    :: atomic { cuts > 0 && up[PAIR(0, 1)] -> cut(0, 1) }
    :: atomic { cuts > 0 && up[PAIR(1, 0)] -> cut(1, 0) }
    :: atomic { packets > 0 && (led & 1) -> deliver(0) }
    :: atomic { packets > 0 && (led & 2) -> deliver(1) }
#if NV > 2
    :: atomic { crashes > 0 && alive[2] -> crashes--; die(2) }
    :: atomic { cuts > 0 && up[PAIR(0, 2)] -> cut(0, 2) }
    :: atomic { cuts > 0 && up[PAIR(1, 2)] -> cut(1, 2) }
    :: atomic { packets > 0 && (led & 4) -> deliver(2) }
#endif
    :: break /* nothing fails any more */
    od;
    i = 0
}

#define STRAY (STRAYS(0) || STRAYS(1) || (NV > 2 && STRAYS(NV - 1)))
#define SETTLED (open_term == 0 && !STRAY)

/* When nothing can happen any more, it is on exactly one VM, or died with one. */
proctype Judge()
{
    byte i, n;
    bool lost;

    atomic {
        timeout ->
        lost = may_be_lost;
        i = 0;
        do
        :: i < TERMS ->
           /* ABORT was on disk, and its source died before it could say that it was too late. */
           lost = lost || (i > 1 && decision[i] == DECISION_ABORT &&
                           !alive[source_of[i]] && !forgotten_heard[i]);
           i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < NV ->
           if
           :: alive[i] && state[i] == STATE_OWNER -> n++; assert(route == i)
           :: else
           fi;
           i++
        :: else -> break
        od;
        assert(SETTLED);
        assert(n == 1 || (n == 0 && lost))
    }
}

init {
    byte i;

    atomic {
        do
        :: i < NV -> alive[i] = true; state[i] = NONE; peer[i] = NOBODY; i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < TERMS -> decision[i] = DECISION_NONE; i++
        :: else -> break
        od;
        state[0] = STATE_OWNER; term[0] = 1; led = 1;
        incarnation = 1;
        i = 0;
        do
        :: i < NV -> run Vm(i); i++
        :: else -> break
        od;
        run Orchestrator(); run World(); run Judge()
    }
}

#ifdef ENDS
ltl ends { <> [] SETTLED }
#endif
