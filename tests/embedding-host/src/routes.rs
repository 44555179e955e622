//! The HTTP side; it knows neither store nor endpoint.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::json;
use tenantry::ErrorKind;
use tenantry::model::Event;

use crate::imports::{Imports, Status};
use crate::people::{People, Person};

#[derive(Debug, Clone)]
struct App {
    imports: Arc<Imports>,
    people: People,
}

/// An error as an answer.
struct Failure(StatusCode, String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<tenantry::Error> for Failure {
    fn from(error: tenantry::Error) -> Self {
        // The text holds no secret: it may be shown.
        let status = match error.kind() {
            ErrorKind::Config => StatusCode::NOT_FOUND,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

#[derive(Debug, Deserialize)]
struct Behind {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    limit: Option<usize>,
}

/// Returns all routes.
pub fn router(imports: Arc<Imports>, people: People) -> Router {
    Router::new()
        .route("/imports/{endpoint}", get(status).post(start))
        .route("/events", get(events))
        .route("/people", get(list_people))
        .with_state(App { imports, people })
}

async fn start(State(app): State<App>, Path(endpoint): Path<String>) -> Result<StatusCode, Failure> {
    app.imports.start(&endpoint).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn status(State(app): State<App>, Path(endpoint): Path<String>) -> Result<Json<Status>, Failure> {
    Ok(Json(app.imports.status(&endpoint).await?))
}

async fn events(State(app): State<App>, Query(behind): Query<Behind>) -> Result<Json<Vec<Event>>, Failure> {
    Ok(Json(app.imports.events(behind.after, behind.limit.unwrap_or(100).min(1000)).await?))
}

async fn list_people(State(app): State<App>) -> Result<Json<Vec<Person>>, Failure> {
    Ok(Json(app.people.all().await?))
}
