-- The member's analytical store, version 2: what happened on its web site.
-- Like the tables of version 1 these are a promise. Times are UTC; days are
-- the member's own, in the zone that its node had when the event arrived.
--
-- Rows lie in the order in which they arrived, which is nearly that of time:
-- a query that names days reads those only. What arrives late is among later
-- rows. The only writers of these tables are take.sql, link.sql and retention.

-- Numbers sessions, ascending.
CREATE SEQUENCE session_numbers START 1;

-- One thing that happened. Whose it is says its session: the visitor's number
-- is kept once a visit, not once an event.
CREATE TABLE events (
    event         UUID      NOT NULL, -- drawn by the tag; sent twice it is here once
    session       BIGINT,             -- NULL: no visitor was allowed
    happened_at   TIMESTAMP NOT NULL,
    day           DATE      NOT NULL,
    kind          VARCHAR   NOT NULL, -- 'page_view', 'purchase', …, 'custom'
    name          VARCHAR   NOT NULL, -- of a custom event
    host          VARCHAR   NOT NULL,
    path          VARCHAR   NOT NULL, -- without parameters
    title         VARCHAR   NOT NULL,
    referrer_host VARCHAR   NOT NULL,
    referrer_path VARCHAR   NOT NULL,
    source        VARCHAR   NOT NULL, -- the campaign's five parameters
    medium        VARCHAR   NOT NULL,
    campaign      VARCHAR   NOT NULL,
    term          VARCHAR   NOT NULL,
    content       VARCHAR   NOT NULL,
    click         VARCHAR   NOT NULL, -- which click identifier there was: 'gclid'
    channel       VARCHAR   NOT NULL, -- by Google's default grouping
    internal      BOOLEAN   NOT NULL, -- came from the member's own site
    language      VARCHAR   NOT NULL,
    device        VARCHAR   NOT NULL,
    browser       VARCHAR   NOT NULL,
    system        VARCHAR   NOT NULL,
    network       VARCHAR   NOT NULL, -- 24 or 48 bits of the address
    target        VARCHAR   NOT NULL, -- of an outbound click or a download
    scroll        TINYINT   NOT NULL, -- percent
    engaged_ms    INTEGER   NOT NULL, -- in front of the reader since the last event that says so
    order_code    VARCHAR   NOT NULL,
    cents         BIGINT    NOT NULL,
    currency      VARCHAR   NOT NULL,
    items         VARCHAR   NOT NULL, -- JSON list, or ''
    properties    VARCHAR   NOT NULL  -- JSON object of a custom event, or ''
);

-- One visit: a visitor's events with never more than 30 minutes between two,
-- as in GA4. Neither midnight nor another campaign ends it. An event that
-- comes late lengthens a visit, or makes two into one.
CREATE TABLE sessions (
    session       BIGINT    NOT NULL,
    visitor       UUID      NOT NULL,
    day           DATE      NOT NULL, -- on which it began, and is counted
    last_day      DATE      NOT NULL,
    started_at    TIMESTAMP NOT NULL, -- first event
    ended_at      TIMESTAMP NOT NULL, -- last event
    -- The first and the last page seen; NULL and '' if none was.
    entry_at      TIMESTAMP,
    entry_host    VARCHAR   NOT NULL,
    entry_path    VARCHAR   NOT NULL,
    exit_at       TIMESTAMP,
    exit_host     VARCHAR   NOT NULL,
    exit_path     VARCHAR   NOT NULL,
    -- Where the visitor came from: by the first event that came from outside,
    -- else (internal) by the first.
    internal      BOOLEAN   NOT NULL,
    origin_at     TIMESTAMP NOT NULL,
    channel       VARCHAR   NOT NULL,
    source        VARCHAR   NOT NULL,
    medium        VARCHAR   NOT NULL,
    campaign      VARCHAR   NOT NULL,
    term          VARCHAR   NOT NULL,
    content       VARCHAR   NOT NULL,
    click         VARCHAR   NOT NULL,
    referrer_host VARCHAR   NOT NULL,
    referrer_path VARCHAR   NOT NULL,
    events        INTEGER   NOT NULL,
    page_views    INTEGER   NOT NULL,
    engaged_ms    BIGINT    NOT NULL,
    engaged       BOOLEAN   NOT NULL, -- 10 seconds, 2 pages or a purchase; otherwise it bounced
    purchases     INTEGER   NOT NULL,
    cents         BIGINT    NOT NULL  -- Canadian, of purchases less refunds
);

-- What a visitor said about consent. Withdrawing adds a row.
CREATE TABLE visitor_consents (
    visitor UUID      NOT NULL,
    purpose VARCHAR   NOT NULL, -- 'analytics', 'advertising', 'personalisation', 'pooling'
    granted BOOLEAN   NOT NULL,
    said_at TIMESTAMP NOT NULL,
    proof   VARCHAR   NOT NULL  -- how it was given
);

-- Each time a visitor declared to be somebody, and until when that holds: the
-- visitor withdraws the consent to analytics, or declares to be another. A
-- visitor is one person at most: the one of the row whose ended_at is NULL.
CREATE TABLE visitors (
    visitor   UUID      NOT NULL,
    kind      VARCHAR   NOT NULL, -- how: 'email', 'phone', 'account'
    value     VARCHAR   NOT NULL, -- the account; '' otherwise, see identities
    person    BIGINT,             -- NULL: an account that nobody here has yet
    linked_at TIMESTAMP NOT NULL,
    ended_at  TIMESTAMP
);

-- The campaigns that brought somebody, as the links to the site name them.
CREATE TABLE campaigns (
    campaign VARCHAR   NOT NULL,
    source   VARCHAR   NOT NULL,
    medium   VARCHAR   NOT NULL,
    first_at TIMESTAMP NOT NULL,
    last_at  TIMESTAMP NOT NULL
);

-- Each day, kept as its events arrive. Nobody is named here, so the figures
-- outlive the rows they were counted from.
CREATE TABLE daily (
    day        DATE   NOT NULL,
    visits     BIGINT NOT NULL, -- that began on it
    visitors   BIGINT NOT NULL, -- exactly, who did something on it
    page_views BIGINT NOT NULL, -- also those without a visitor
    engaged    BIGINT NOT NULL, -- visits; the others bounced
    engaged_ms BIGINT NOT NULL,
    purchases  BIGINT NOT NULL,
    cents      BIGINT NOT NULL
);

-- The visits of each day by channel.
CREATE TABLE daily_channels (
    day        DATE    NOT NULL,
    channel    VARCHAR NOT NULL,
    visits     BIGINT  NOT NULL,
    visitors   BIGINT  NOT NULL,
    page_views BIGINT  NOT NULL,
    engaged    BIGINT  NOT NULL,
    purchases  BIGINT  NOT NULL,
    cents      BIGINT  NOT NULL
);

-- The page views of each day by page.
CREATE TABLE daily_pages (
    day        DATE    NOT NULL,
    host       VARCHAR NOT NULL,
    path       VARCHAR NOT NULL,
    title      VARCHAR NOT NULL, -- of several, the last in the alphabet
    page_views BIGINT  NOT NULL
);

-- One row: how far the intake's spool has been taken in. It moves in the
-- transaction that stores what came before, so nothing is taken in twice.
CREATE TABLE spool (
    segment UBIGINT NOT NULL,
    taken   BIGINT  NOT NULL -- bytes of the segment
);
INSERT INTO spool VALUES (0, 0);
