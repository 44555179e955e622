//! The host's own table of people: each event is applied in one transaction, and acknowledged after its commit.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tenantry::Service;
use tenantry::model::{CustomerId, Event, EventType};
use tokio_util::sync::CancellationToken;

/// The consumer's name: its position is kept under it.
const CONSUMER: &str = "people";
/// Between two looks when nothing is new.
const PAUSE: Duration = Duration::from_millis(500);

/// One row.
#[derive(Debug, Serialize)]
pub struct Person {
    /// The record's id: the same for good.
    pub id: String,
    /// Name as shown.
    pub name: Option<String>,
    /// Mail address.
    pub email: Option<String>,
    /// Which endpoint owns the record.
    pub locked_by: Option<String>,
}

/// The table, in a database that only this host knows.
#[derive(Debug, Clone)]
pub struct People {
    pool: SqlitePool,
}

impl People {
    /// Opens the database, or creates it.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub async fn open(file: &Path) -> sqlx::Result<Self> {
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
        let pool = SqlitePool::connect_with(options).await?;
        sqlx::query("CREATE TABLE IF NOT EXISTS people (id TEXT PRIMARY KEY, name TEXT, email TEXT, locked_by TEXT)")
            .execute(&pool)
            .await?;
        Ok(Self { pool })
    }

    /// Reads the table.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn all(&self) -> sqlx::Result<Vec<Person>> {
        let rows = sqlx::query("SELECT id, name, email, locked_by FROM people ORDER BY name, id");
        let person = |row: &sqlx::sqlite::SqliteRow| {
            Ok(Person {
                id: row.try_get("id")?,
                name: row.try_get("name")?,
                email: row.try_get("email")?,
                locked_by: row.try_get("locked_by")?,
            })
        };
        rows.fetch_all(&self.pool).await?.iter().map(person).collect()
    }

    /// Follows the customer's events until it is told to stop.
    pub async fn follow(self, service: Service, customer: CustomerId, stop: CancellationToken) {
        let consumer = service.consumer(&customer, CONSUMER);
        while !stop.is_cancelled() {
            let applied = match consumer.next(200).await {
                Ok(events) => self.apply_all(&consumer, &events).await,
                Err(error) => Err(error.into()),
            };
            match applied {
                Ok(0) => {}
                Ok(_) => continue,
                Err(error) => eprintln!("events could not be applied, they come again: {error}"),
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn apply_all(
        &self,
        consumer: &tenantry::Consumer,
        events: &[Event],
    ) -> Result<usize, Box<dyn std::error::Error + Send + Sync>> {
        let mut transaction = self.pool.begin().await?;
        for event in events {
            let data = event.data_value();
            let record = &data["record"];
            match event.event_type {
                // An event may come twice; the second time changes nothing.
                EventType::UserUpserted => {
                    sqlx::query("INSERT OR REPLACE INTO people (id, name, email, locked_by) VALUES (?, ?, ?, ?)")
                        .bind(&event.subject)
                        .bind(record["display_name"].as_str())
                        .bind(record["primary_email"].as_str())
                        .bind(record["lock"]["endpoint"].as_str())
                        .execute(&mut *transaction)
                        .await?;
                }
                EventType::UserRemoved => {
                    sqlx::query("DELETE FROM people WHERE id = ?")
                        .bind(&event.subject)
                        .execute(&mut *transaction)
                        .await?;
                }
                _ => {}
            }
        }
        transaction.commit().await?;
        if let Some(last) = events.last() {
            consumer.acknowledge(last).await?;
        }
        Ok(events.len())
    }
}
