-- Where a batch gathers. Temporary tables belong to one connection and die
-- with it.

CREATE OR REPLACE TEMP TABLE arriving (
    nth           INTEGER   NOT NULL,
    event         UUID      NOT NULL,
    visitor       UUID,               -- from here on as in events
    happened_at   TIMESTAMP NOT NULL,
    day           DATE      NOT NULL,
    kind          VARCHAR   NOT NULL,
    name          VARCHAR   NOT NULL,
    host          VARCHAR   NOT NULL,
    path          VARCHAR   NOT NULL,
    title         VARCHAR   NOT NULL,
    referrer_host VARCHAR   NOT NULL,
    referrer_path VARCHAR   NOT NULL,
    source        VARCHAR   NOT NULL,
    medium        VARCHAR   NOT NULL,
    campaign      VARCHAR   NOT NULL,
    term          VARCHAR   NOT NULL,
    content       VARCHAR   NOT NULL,
    click         VARCHAR   NOT NULL,
    channel       VARCHAR   NOT NULL,
    internal      BOOLEAN   NOT NULL,
    language      VARCHAR   NOT NULL,
    device        VARCHAR   NOT NULL,
    browser       VARCHAR   NOT NULL,
    system        VARCHAR   NOT NULL,
    network       VARCHAR   NOT NULL,
    target        VARCHAR   NOT NULL,
    scroll        TINYINT   NOT NULL,
    engaged_ms    INTEGER   NOT NULL,
    order_code    VARCHAR   NOT NULL,
    cents         BIGINT    NOT NULL,
    currency      VARCHAR   NOT NULL,
    items         VARCHAR   NOT NULL,
    properties    VARCHAR   NOT NULL
);

CREATE OR REPLACE TEMP TABLE arriving_consents (
    nth     INTEGER   NOT NULL,
    visitor UUID      NOT NULL,
    purpose VARCHAR   NOT NULL,
    granted BOOLEAN   NOT NULL,
    said_at TIMESTAMP NOT NULL,
    proof   VARCHAR   NOT NULL
);

CREATE OR REPLACE TEMP TABLE arriving_links (
    nth       INTEGER   NOT NULL,
    visitor   UUID      NOT NULL,
    kind      VARCHAR   NOT NULL,
    value     VARCHAR   NOT NULL,
    linked_at TIMESTAMP NOT NULL
);
