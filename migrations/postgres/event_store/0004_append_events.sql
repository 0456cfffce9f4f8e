-- Appends a batch: one call instead of a question for the heads and an insert. Its transaction is the caller's, and so is the commit.
-- `volatile`, and at `read committed`: each statement in it sees everything that was committed before it, so that the heads are read behind the
-- lock. The number of the lock is "honoken" in ASCII; a process of an earlier release takes the same one by itself.
create function append_events(
    -- What the caller has seen of the event log: its last position, and the furthest event that it knows (null: none).
    seen_head          bigint,
    seen_position      bigint,
    seen_type          text,
    seen_id            text,
    seen_sequence      bigint,
    seen_recorded_at   bigint,
    -- The new events in order. `new_firsts`: the number, from 1, of the first event of the same append. No two appends are for one stream.
    new_firsts         bigint[],
    new_types          text[],
    new_ids            text[],
    new_sequences      bigint[],
    new_event_types    text[],
    new_event_versions text[],
    new_payloads       text[],
    new_metadata       text[],
    new_recorded_at    bigint[],
    -- The last position before the batch.
    out head           bigint,
    -- Whether the event log lacks what the caller has seen: then nothing is appended.
    out is_set_back    boolean,
    -- The first events of appends that are not for the end of their stream, and were left out. Null: none.
    out stale          bigint[]
) language plpgsql volatile as $$
begin
    perform pg_advisory_xact_lock(29395917684303214);
    head := coalesce((select max(position) from events), 0);
    is_set_back := head < seen_head or seen_position is not null and not exists (
        select from events
        where position = seen_position and aggregate_type = seen_type and aggregate_id = seen_id
          and sequence = seen_sequence and recorded_at = seen_recorded_at);
    if is_set_back then
        return;
    end if;
    stale := (
        select array_agg(new.number)
        from unnest(new_firsts, new_types, new_ids, new_sequences) with ordinality as new (first, type, id, sequence, number)
        where new.number = new.first
          and new.sequence - 1 <> coalesce((
              select max(events.sequence) from events
              where events.aggregate_type = new.type and events.aggregate_id = new.id), 0));
    insert into events
        (position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at)
    select head + row_number() over (order by new.number), new.type, new.id, new.sequence, new.event_type, new.event_version,
           new.payload::json, new.metadata::json, new.recorded_at
    from unnest(new_firsts, new_types, new_ids, new_sequences, new_event_types, new_event_versions, new_payloads, new_metadata, new_recorded_at)
         with ordinality
         as new (first, type, id, sequence, event_type, event_version, payload, metadata, recorded_at, number)
    where stale is null or new.first <> all (stale);
end
$$;
