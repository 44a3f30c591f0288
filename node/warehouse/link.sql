-- Takes what visitors said, and who they declared to be, into the store: part
-- of one transaction. merge.sql is its like for files.

SET VARIABLE first_said = (SELECT min(said_at) FROM arriving_consents);
SET VARIABLE last_said  = (SELECT max(said_at) FROM arriving_consents);

-- A tag repeats with all that it sends what was said, and when by a clock that
-- is set by the request's time: a few seconds more or less. A word like the one
-- before, or like the known one after, and not half a minute from it is that.
INSERT INTO visitor_consents
SELECT visitor, purpose, granted, said_at, proof
FROM (SELECT *, lag(granted) OVER earlier = granted AND said_at - lag(said_at) OVER earlier < INTERVAL 30 SECOND AS after_it,
             lead(nth IS NULL) OVER earlier AND lead(granted) OVER earlier = granted
               AND lead(said_at) OVER earlier - said_at < INTERVAL 30 SECOND AS before_it
      FROM (SELECT nth, visitor, purpose, granted, said_at, proof FROM arriving_consents
            UNION ALL
            SELECT NULL, visitor, purpose, granted, said_at, proof
            FROM visitor_consents
            WHERE visitor IN (SELECT visitor FROM arriving_consents)
              AND said_at BETWEEN getvariable('first_said') - INTERVAL 30 SECOND AND getvariable('last_said') + INTERVAL 30 SECOND)
      WINDOW earlier AS (PARTITION BY visitor, purpose ORDER BY said_at, granted DESC, nth NULLS FIRST))
WHERE nth IS NOT NULL AND after_it IS NOT TRUE AND before_it IS NOT TRUE
ORDER BY said_at;

-- What was declared, unless the consent to it is known to be withdrawn since:
-- then the identifier is not kept at all.
CREATE OR REPLACE TEMP TABLE declared AS
SELECT DISTINCT visitor, kind, value, linked_at
FROM arriving_links a
WHERE NOT EXISTS (
    FROM visitor_consents c
    WHERE c.visitor = a.visitor AND c.purpose = 'analytics' AND NOT c.granted AND c.said_at >= a.linked_at);

-- Whom nobody had named before. An account alone names nobody.
CREATE OR REPLACE TEMP TABLE newcomers AS
SELECT kind, value, nextval('person_numbers') AS person
FROM (SELECT kind, value, min(linked_at) AS linked_at
      FROM declared d
      WHERE kind <> 'account'
        AND NOT EXISTS (FROM identities i WHERE i.principal AND i.kind = d.kind AND i.value = d.value)
      GROUP BY kind, value
      ORDER BY linked_at);

INSERT INTO people SELECT person, '', 'tag' FROM newcomers ORDER BY person;
INSERT INTO identities SELECT person, kind, value, true FROM newcomers ORDER BY person;

INSERT INTO visitors
SELECT d.visitor, d.kind, CASE d.kind WHEN 'account' THEN d.value ELSE '' END, p.person, d.linked_at, NULL
FROM declared d
LEFT JOIN (SELECT kind, value, min(person) AS person
           FROM identities
           WHERE (principal OR kind = 'account') AND (kind, value) IN (SELECT (kind, value) FROM declared)
           GROUP BY kind, value) p ON p.kind = d.kind AND p.value = d.value
WHERE NOT EXISTS (
    FROM visitors v
    WHERE v.visitor = d.visitor AND v.kind = d.kind AND v.linked_at = d.linked_at
      AND (v.person = p.person OR v.kind = 'account' AND v.value = d.value))
ORDER BY d.linked_at;

-- Accounts that an import has named since.
UPDATE visitors SET person = i.person
FROM (SELECT value, min(person) AS person FROM identities WHERE kind = 'account' GROUP BY value) i
WHERE visitors.person IS NULL AND visitors.kind = 'account' AND visitors.value = i.value;

-- The declarations of everybody of whom there is news, and for how long each
-- holds; a stretch is those that one after another name the same person.
CREATE OR REPLACE TEMP TABLE stretches AS
WITH concerned AS (
    SELECT visitor FROM visitors
    WHERE visitor IN (SELECT visitor FROM declared
                      UNION ALL
                      SELECT visitor FROM arriving_consents WHERE purpose IN ('analytics', 'pooling'))
), named AS (
    SELECT visitor, person, linked_at,
           (person IS DISTINCT FROM lag(person) OVER (PARTITION BY visitor ORDER BY linked_at, person))::INTEGER AS turns
    FROM visitors
    WHERE visitor IN (FROM concerned) AND person IS NOT NULL
), numbered AS (
    SELECT *, sum(turns) OVER (PARTITION BY visitor ORDER BY linked_at, person ROWS UNBOUNDED PRECEDING) AS stretch FROM named
), around AS (
    SELECT visitor, stretch, lead(min(linked_at)) OVER (PARTITION BY visitor ORDER BY stretch) AS next_at,
           lag(max(linked_at)) OVER (PARTITION BY visitor ORDER BY stretch) AS previous_at
    FROM numbered
    GROUP BY visitor, stretch
), withdrawn AS (
    SELECT n.visitor, n.person, n.linked_at, min(c.said_at) AS withdrawn_at
    FROM numbered n
    JOIN visitor_consents c ON c.visitor = n.visitor AND c.purpose = 'analytics' AND NOT c.granted AND c.said_at >= n.linked_at
    GROUP BY n.visitor, n.person, n.linked_at
)
SELECT DISTINCT n.visitor, n.person, n.stretch, n.linked_at, a.previous_at, a.next_at, least(a.next_at, w.withdrawn_at) AS ended_at
FROM numbered n
JOIN around a USING (visitor, stretch)
LEFT JOIN withdrawn w ON w.visitor = n.visitor AND w.person = n.person AND w.linked_at = n.linked_at;

UPDATE visitors SET ended_at = s.ended_at
FROM stretches s
WHERE visitors.visitor = s.visitor AND visitors.person = s.person AND visitors.linked_at = s.linked_at
  AND visitors.ended_at IS DISTINCT FROM s.ended_at;

-- What a browser said about pooling is the word of who was declared on it: a
-- grant if it was given after somebody else was, and while the declaration
-- held; a withdrawal in any case, until somebody else is.
CREATE OR REPLACE TEMP TABLE heard AS
SELECT DISTINCT s.person, c.granted, c.said_at
FROM (SELECT visitor, person, stretch, any_value(previous_at) AS previous_at, any_value(next_at) AS next_at,
             max(coalesce(ended_at, 'infinity'::TIMESTAMP)) AS ended_at
      FROM stretches
      GROUP BY visitor, person, stretch) s
JOIN visitor_consents c ON c.visitor = s.visitor AND c.purpose = 'pooling'
WHERE CASE WHEN c.granted THEN c.said_at > coalesce(s.previous_at, '-infinity'::TIMESTAMP) AND c.said_at <= s.ended_at
      ELSE c.said_at <= coalesce(s.next_at, 'infinity'::TIMESTAMP) END
  AND NOT EXISTS (
    FROM consents k
    WHERE k.person = s.person AND k.purpose = 'pooling' AND k.granted = c.granted AND k.said_at = c.said_at);

INSERT INTO consents
SELECT person, 'pooling', granted, said_at, 'tag' FROM heard ORDER BY person, said_at;

MERGE INTO standing
USING (SELECT person,
              coalesce(max(said_at) FILTER (granted), '-infinity') AS granted_at,
              coalesce(max(said_at) FILTER (NOT granted), '-infinity') AS withdrawn_at
       FROM heard
       GROUP BY person
       ORDER BY person) AS new
ON standing.person = new.person AND standing.purpose = 'pooling'
WHEN MATCHED AND (new.granted_at > standing.granted_at OR new.withdrawn_at > standing.withdrawn_at)
THEN UPDATE SET granted_at = greatest(standing.granted_at, new.granted_at),
                withdrawn_at = greatest(standing.withdrawn_at, new.withdrawn_at)
WHEN NOT MATCHED THEN INSERT (person, purpose, granted_at, withdrawn_at)
     VALUES (new.person, 'pooling', new.granted_at, new.withdrawn_at);
