-- Takes a batch of events into the store: part of one transaction, whole sets
-- at a time. What results depends on which events have arrived, not on how
-- they were cut into batches or in which order they came.

SET VARIABLE first_at = (SELECT min(happened_at) FROM arriving);
SET VARIABLE last_at  = (SELECT max(happened_at) FROM arriving);

-- An event that is sent again has nearly the time that it had: its client
-- gives up after 7 days, and how far its clock is off it says each time.
DELETE FROM arriving USING events AS e
WHERE e.event = arriving.event
  AND e.happened_at BETWEEN arriving.happened_at - INTERVAL 7 DAY AND arriving.happened_at + INTERVAL 7 DAY
  AND e.happened_at BETWEEN getvariable('first_at') - INTERVAL 7 DAY AND getvariable('last_at') + INTERVAL 7 DAY;

-- The events, and the visits that they may belong to, as pieces of visits; and
-- which pieces make one: those with no more than 30 minutes between them.
CREATE OR REPLACE TEMP TABLE pieces AS
WITH spans AS (
    SELECT visitor, min(happened_at) AS first_at, max(happened_at) AS last_at FROM arriving WHERE visitor IS NOT NULL GROUP BY visitor
), every AS (
    SELECT nth, NULL::BIGINT AS session, visitor, happened_at AS started_at, happened_at AS ended_at, day, day AS last_day
    FROM arriving
    WHERE visitor IS NOT NULL
    UNION ALL
    SELECT NULL, s.session, s.visitor, s.started_at, s.ended_at, s.day, s.last_day
    FROM sessions s JOIN spans ON s.visitor = spans.visitor
     AND s.started_at <= spans.last_at + INTERVAL 30 MINUTE AND s.ended_at >= spans.first_at - INTERVAL 30 MINUTE
    WHERE s.started_at <= getvariable('last_at') + INTERVAL 30 MINUTE AND s.ended_at >= getvariable('first_at') - INTERVAL 30 MINUTE
), cut AS (
    SELECT *, coalesce(started_at > INTERVAL 30 MINUTE + max(ended_at) OVER (
                  PARTITION BY visitor ORDER BY started_at, ended_at, nth ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), true) AS opens
    FROM every
)
SELECT *, sum(opens::INTEGER) OVER (PARTITION BY visitor ORDER BY started_at, ended_at, nth ROWS UNBOUNDED PRECEDING) AS visit
FROM cut;

-- Each visit that an event falls into, with the number that it had, else the
-- next; and what its pieces add up to.
CREATE OR REPLACE TEMP TABLE visits AS
WITH parts AS (
    SELECT p.*,
           CASE WHEN kind = 'page_view' THEN {'happened_at': happened_at, 'host': host, 'path': path} END AS entry, entry AS "exit",
           {'internal': internal, 'happened_at': happened_at, 'channel': channel, 'source': source, 'medium': medium, 'campaign': campaign,
            'term': term, 'content': content, 'click': click, 'referrer_host': referrer_host, 'referrer_path': referrer_path} AS origin,
           1 AS events, (kind = 'page_view')::INTEGER AS page_views, engaged_ms, (kind = 'purchase')::INTEGER AS purchases,
           CASE WHEN currency NOT IN ('CAD', '') THEN 0 WHEN kind = 'purchase' THEN cents WHEN kind = 'refund' THEN -cents ELSE 0 END AS cents
    FROM arriving JOIN pieces p USING (nth)
    UNION ALL
    SELECT p.*,
           CASE WHEN entry_at IS NOT NULL THEN {'happened_at': entry_at, 'host': entry_host, 'path': entry_path} END,
           CASE WHEN exit_at IS NOT NULL THEN {'happened_at': exit_at, 'host': exit_host, 'path': exit_path} END,
           {'internal': internal, 'happened_at': origin_at, 'channel': channel, 'source': source, 'medium': medium, 'campaign': campaign,
            'term': term, 'content': content, 'click': click, 'referrer_host': referrer_host, 'referrer_path': referrer_path},
           events, page_views, engaged_ms, purchases, cents
    FROM sessions s JOIN pieces p ON p.session = s.session
    WHERE s.started_at <= getvariable('last_at') + INTERVAL 30 MINUTE AND s.ended_at >= getvariable('first_at') - INTERVAL 30 MINUTE
)
SELECT coalesce(known, nextval('session_numbers')) AS session, *
FROM (SELECT visitor, visit, min(session) AS known,
             min(started_at) AS started_at, max(ended_at) AS ended_at, min(day) AS day, max(last_day) AS last_day,
             min(entry) AS entry, max("exit") AS "exit", min(origin) AS origin,
             sum(events)::INTEGER AS events, sum(page_views)::INTEGER AS page_views, sum(engaged_ms)::BIGINT AS engaged_ms,
             sum(purchases)::INTEGER AS purchases, sum(cents)::BIGINT AS cents,
             sum(engaged_ms) >= 10000 OR sum(page_views) >= 2 OR sum(purchases) > 0 AS engaged
      FROM parts
      GROUP BY visitor, visit
      HAVING count(nth) > 0
      ORDER BY started_at);

-- Visits between which a late event closed the gap.
CREATE OR REPLACE TEMP TABLE absorbed AS
SELECT p.session AS gone, p.started_at, p.ended_at, v.session
FROM pieces p JOIN visits v USING (visitor, visit)
WHERE p.session <> v.session;

SET VARIABLE first_gone = (SELECT min(started_at) FROM absorbed);
SET VARIABLE last_gone  = (SELECT max(ended_at) FROM absorbed);

UPDATE events SET session = a.session
FROM absorbed a
WHERE events.session = a.gone AND events.happened_at BETWEEN getvariable('first_gone') AND getvariable('last_gone');

DELETE FROM sessions
WHERE session IN (SELECT gone FROM absorbed)
  AND started_at BETWEEN getvariable('first_gone') AND getvariable('last_gone');

UPDATE sessions
SET day = v.day, last_day = v.last_day, started_at = v.started_at, ended_at = v.ended_at,
    entry_at = v.entry.happened_at, entry_host = coalesce(v.entry.host, ''), entry_path = coalesce(v.entry.path, ''),
    exit_at = v."exit".happened_at, exit_host = coalesce(v."exit".host, ''), exit_path = coalesce(v."exit".path, ''),
    internal = v.origin.internal, origin_at = v.origin.happened_at, channel = v.origin.channel,
    source = v.origin.source, medium = v.origin.medium, campaign = v.origin.campaign, term = v.origin.term, content = v.origin.content,
    click = v.origin.click, referrer_host = v.origin.referrer_host, referrer_path = v.origin.referrer_path,
    events = v.events, page_views = v.page_views, engaged_ms = v.engaged_ms, engaged = v.engaged, purchases = v.purchases, cents = v.cents
FROM visits v
WHERE sessions.session = v.known;

INSERT INTO sessions BY NAME
SELECT session, visitor, day, last_day, started_at, ended_at,
       entry.happened_at AS entry_at, coalesce(entry.host, '') AS entry_host, coalesce(entry.path, '') AS entry_path,
       "exit".happened_at AS exit_at, coalesce("exit".host, '') AS exit_host, coalesce("exit".path, '') AS exit_path,
       origin.internal, origin.happened_at AS origin_at, origin.channel,
       origin.source, origin.medium, origin.campaign, origin.term, origin.content,
       origin.click, origin.referrer_host, origin.referrer_path,
       events, page_views, engaged_ms, engaged, purchases, cents
FROM visits
WHERE known IS NULL
ORDER BY session;

INSERT INTO events BY NAME
SELECT v.session, a.* EXCLUDE (nth, visitor)
FROM arriving a
LEFT JOIN pieces p ON p.nth = a.nth
LEFT JOIN visits v ON v.visitor = p.visitor AND v.visit = p.visit
ORDER BY a.happened_at;

MERGE INTO campaigns
USING (SELECT campaign, source, medium, min(happened_at) AS first_at, max(happened_at) AS last_at
       FROM arriving
       WHERE campaign <> ''
       GROUP BY campaign, source, medium) AS new
ON campaigns.campaign = new.campaign AND campaigns.source = new.source AND campaigns.medium = new.medium
WHEN MATCHED THEN UPDATE SET first_at = least(campaigns.first_at, new.first_at), last_at = greatest(campaigns.last_at, new.last_at)
WHEN NOT MATCHED THEN INSERT (campaign, source, medium, first_at, last_at)
     VALUES (new.campaign, new.source, new.medium, new.first_at, new.last_at);
