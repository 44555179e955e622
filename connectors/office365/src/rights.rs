//! What the application may read, and of which tenant. It asks for nothing but a token, and for the tenant where that
//! does not tell it.

use std::collections::BTreeSet;

use serde::Deserialize;
use tenantry::{Context, Error, Result};
use url::Url;
use uuid::Uuid;

use crate::auth::Claims;
use crate::client::{Graph, unreadable};
use crate::grants;
use crate::operation::Operation;

/// The tenant and what of it may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) tenant: Uuid,
    /// By the names that an administrator knows, each by its least form: who swaps a wide one for the narrow ones loses
    /// nothing. Empty where the token does not tell them.
    pub(crate) granted: BTreeSet<String>,
}

impl Rights {
    /// Reads those of now.
    pub(crate) async fn of_now(graph: &Graph, cx: &Context) -> Result<Self> {
        let claims = graph.claims_of_now(cx).await?;
        Self::of(graph, cx, claims).await
    }

    /// Reads those by which is read.
    pub(crate) async fn read(graph: &Graph, cx: &Context) -> Result<Self> {
        let claims = graph.claims(cx).await?;
        Self::of(graph, cx, claims).await
    }

    async fn of(graph: &Graph, cx: &Context, claims: Claims) -> Result<Self> {
        let tenant = match claims.tenant {
            Some(tenant) => tenant,
            None => organization(graph, cx).await?,
        };
        Ok(Self { tenant, granted: grants::visible(&claims.roles.unwrap_or_default()) })
    }

    pub(crate) fn has(&self, right: &str) -> bool {
        self.granted.contains(right)
    }
}

#[derive(Deserialize)]
struct Organizations {
    value: Vec<Organization>,
}

#[derive(Deserialize)]
struct Organization {
    id: Uuid,
}

/// Asks Graph whose directory it is.
async fn organization(graph: &Graph, cx: &Context) -> Result<Uuid> {
    let mut url: Url = graph.config.graph.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.push("organization");
    }
    url.query_pairs_mut().append_pair("$select", "id");
    let read = graph.get(cx, Operation::Organization, 1, &url, |answer| {
        serde_json::from_slice::<Organizations>(&answer.body).map_err(|error| unreadable(answer, &error))
    });
    let first = read.await?.value.into_iter().next();
    first.map(|tenant| tenant.id).ok_or_else(|| Error::protocol("graph does not tell whose directory it is"))
}
