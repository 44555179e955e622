//! Web domains of customers, and addresses of which somebody said whose they are.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::{Error, ErrorKind, Result};
use crate::model::{Assignment, Attributes, CustomerId};
use crate::rules::domains;
use crate::rules::join::addresses;
use crate::rules::text::folded;
use crate::store::sqlite::outbox::customer_no;
use crate::store::sqlite::sql;

/// Stores the domains of a customer in the form in which they are compared; writes nothing if they are as they were.
pub(in super::super) fn store_domains(connection: &Connection, customer_no: i64, claimed: &[String]) -> Result<()> {
    let step = || sql("store the domains of a customer");
    let wanted: BTreeSet<String> = claimed.iter().map(|domain| domains::normal(domain)).collect();
    let stored: BTreeSet<String> = {
        let mut query =
            connection.prepare_cached("SELECT domain FROM customer_domains WHERE customer_no = ?1").map_err(step())?;
        let rows = query.query_map([customer_no], |row| row.get(0)).map_err(step())?;
        rows.collect::<Result<_, _>>().map_err(step())?
    };
    for domain in stored.difference(&wanted) {
        connection
            .execute(
                "DELETE FROM customer_domains WHERE domain = ?1 AND customer_no = ?2",
                params![domain, customer_no],
            )
            .map_err(step())?;
    }
    for domain in wanted.difference(&stored) {
        connection
            .execute("INSERT INTO customer_domains VALUES (?1, ?2)", params![domain, customer_no])
            .map_err(step())?;
    }
    Ok(())
}

/// Tells whose an address is.
pub(super) fn assignment(connection: &Connection, address: &str) -> Result<Assignment> {
    let step = || sql("assign an address");
    let explicit: Option<String> = connection
        .prepare_cached(
            "SELECT c.id FROM assignments JOIN customers c USING (customer_no) WHERE assignments.address = ?1",
        )
        .and_then(|mut query| query.query_row([folded(address)], |row| row.get(0)).optional())
        .map_err(step())?;
    let explicit = explicit.map(CustomerId::new).transpose()?;
    let mut claims = Vec::new();
    for domain in domains::domains_of(address).into_iter().flatten() {
        let mut query = connection
            .prepare_cached(
                "SELECT c.id FROM customer_domains d JOIN customers c USING (customer_no) WHERE domain = ?1",
            )
            .map_err(step())?;
        let rows = query.query_map([&domain], |row| row.get::<_, String>(0)).map_err(step())?;
        for id in rows {
            claims.push((CustomerId::new(id.map_err(step())?)?, domain.clone()));
        }
    }
    Ok(domains::assign(address, explicit, &claims))
}

/// Says whose an address is, or no longer.
pub(super) fn assign(connection: &Connection, address: &str, customer: Option<&CustomerId>) -> Result<()> {
    let step = || sql("assign an address");
    if domains::domains_of(address).is_none() {
        return Err(Error::config("this is no mail address; write it as name@domain"));
    }
    let Some(customer) = customer else {
        return connection
            .execute("DELETE FROM assignments WHERE address = ?1", [folded(address)])
            .map(drop)
            .map_err(step());
    };
    let customer_no = customer_no(connection, customer)?.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "the customer is not known").with_context("customer", customer)
    })?;
    connection
        .execute("INSERT OR REPLACE INTO assignments VALUES (?1, ?2)", params![folded(address), customer_no])
        .map(drop)
        .map_err(step())
}

/// Forgets whose the addresses of a person are that is erased.
pub(in super::super) fn forget_addresses(connection: &Connection, attributes: &Attributes) -> Result<()> {
    for address in addresses(attributes) {
        connection
            .prepare_cached("DELETE FROM assignments WHERE address = ?1")
            .and_then(|mut delete| delete.execute([address]))
            .map_err(sql("forget an address"))?;
    }
    Ok(())
}
