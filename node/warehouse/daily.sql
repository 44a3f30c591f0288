-- Brings the figures of the days up to date that a batch has touched. Pages
-- are added up; the rest is counted again from the day's visits, for a late
-- event may join two of them.

CREATE OR REPLACE TEMP TABLE touched AS
SELECT DISTINCT day
FROM (SELECT day FROM arriving
      UNION ALL
      SELECT unnest(generate_series(p.day::TIMESTAMP, p.last_day::TIMESTAMP, INTERVAL 1 DAY))::DATE FROM pieces p JOIN visits USING (visitor, visit));

SET VARIABLE first_day = (SELECT min(day) FROM touched);
SET VARIABLE last_day  = (SELECT max(day) FROM touched);

MERGE INTO daily_pages
USING (SELECT day, host, path, max(title) AS title, count(*) AS page_views
       FROM arriving
       WHERE kind = 'page_view'
       GROUP BY day, host, path
       ORDER BY day) AS new
ON daily_pages.day = new.day AND daily_pages.host = new.host AND daily_pages.path = new.path
WHEN MATCHED THEN UPDATE SET page_views = daily_pages.page_views + new.page_views, title = greatest(daily_pages.title, new.title)
WHEN NOT MATCHED THEN INSERT (day, host, path, title, page_views)
     VALUES (new.day, new.host, new.path, new.title, new.page_views);

CREATE OR REPLACE TEMP TABLE begun AS
SELECT day, channel, visitor, page_views, engaged, engaged_ms, purchases, cents
FROM sessions
WHERE day BETWEEN getvariable('first_day') AND getvariable('last_day') AND day IN (FROM touched);

-- Whoever has a visit that lasts over midnight is there on both days: no gap
-- of a visit is as long as a day.
MERGE INTO daily
USING (
    WITH present AS (
        SELECT day, visitor FROM begun
        UNION ALL
        SELECT t.day, s.visitor
        FROM sessions s JOIN touched t ON t.day > s.day AND t.day <= s.last_day
        WHERE s.last_day > s.day AND s.last_day >= getvariable('first_day') AND s.day <= getvariable('last_day')
    )
    SELECT t.day, coalesce(any_value(b.visits), 0) AS visits, count(DISTINCT p.visitor) AS visitors,
           coalesce(any_value(g.page_views), 0)::BIGINT AS page_views,
           coalesce(any_value(b.engaged), 0) AS engaged, coalesce(any_value(b.engaged_ms), 0)::BIGINT AS engaged_ms,
           coalesce(any_value(b.purchases), 0)::BIGINT AS purchases, coalesce(any_value(b.cents), 0)::BIGINT AS cents
    FROM touched t
    LEFT JOIN present p ON p.day = t.day
    LEFT JOIN (SELECT day, count(*) AS visits, count(*) FILTER (engaged) AS engaged, sum(engaged_ms) AS engaged_ms,
                      sum(purchases) AS purchases, sum(cents) AS cents
               FROM begun GROUP BY day) b ON b.day = t.day
    LEFT JOIN (SELECT day, sum(page_views) AS page_views
               FROM daily_pages
               WHERE day BETWEEN getvariable('first_day') AND getvariable('last_day')
               GROUP BY day) g ON g.day = t.day
    GROUP BY t.day
    ORDER BY t.day
) AS new
ON daily.day = new.day
WHEN MATCHED THEN UPDATE SET visits = new.visits, visitors = new.visitors, page_views = new.page_views, engaged = new.engaged,
                             engaged_ms = new.engaged_ms, purchases = new.purchases, cents = new.cents
WHEN NOT MATCHED THEN INSERT (day, visits, visitors, page_views, engaged, engaged_ms, purchases, cents)
     VALUES (new.day, new.visits, new.visitors, new.page_views, new.engaged, new.engaged_ms, new.purchases, new.cents);

CREATE OR REPLACE TEMP TABLE counted AS
SELECT day, channel, count(*) AS visits, count(DISTINCT visitor) AS visitors, sum(page_views)::BIGINT AS page_views,
       count(*) FILTER (engaged) AS engaged, sum(purchases)::BIGINT AS purchases, sum(cents)::BIGINT AS cents
FROM begun
GROUP BY day, channel
ORDER BY day;

-- A channel may have lost its only visit of a day to a late event.
DELETE FROM daily_channels
WHERE day IN (FROM touched)
  AND NOT EXISTS (FROM counted c WHERE c.day = daily_channels.day AND c.channel = daily_channels.channel);

MERGE INTO daily_channels
USING counted AS new
ON daily_channels.day = new.day AND daily_channels.channel = new.channel
WHEN MATCHED THEN UPDATE SET visits = new.visits, visitors = new.visitors, page_views = new.page_views, engaged = new.engaged,
                             purchases = new.purchases, cents = new.cents
WHEN NOT MATCHED THEN INSERT (day, channel, visits, visitors, page_views, engaged, purchases, cents)
     VALUES (new.day, new.channel, new.visits, new.visitors, new.page_views, new.engaged, new.purchases, new.cents);
