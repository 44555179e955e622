//! Proof that a scope was listed to its end: the only maker of [`Complete`].
//!
//! A removal by absence needs such a proof, and the proof needs three things: the pager closed the scope, nothing
//! spoiled it on the way, and what the endpoint can see was the same at the start, at every resume and at the end.
//!
//! The proof cannot be made by hand:
//!
//! ```compile_fail
//! let proof = tenantry::coverage::Complete { scope: tenantry::model::Scope::Users, coverage: [0; 16] };
//! ```
//!
//! ```compile_fail
//! let proof = tenantry::coverage::Complete::default();
//! ```
//!
//! nor copied, so that one listing cannot prove two removals:
//!
//! ```compile_fail
//! fn twice(proof: tenantry::coverage::Complete) -> (tenantry::coverage::Complete, tenantry::coverage::Complete) {
//!     (proof.clone(), proof)
//! }
//! ```
//!
//! nor read from a file:
//!
//! ```compile_fail
//! let proof: tenantry::coverage::Complete = serde_json::from_str("{}").unwrap();
//! ```

use std::collections::BTreeSet;

use crate::endpoint::CoverageInfo;
use crate::model::{ObjectKind, Scope};

/// Proof that one scope was listed to its end under one coverage.
#[derive(Debug)]
#[must_use = "a proof that is not used proves nothing"]
pub struct Complete {
    scope: Scope,
    coverage: [u8; 16],
}

impl Complete {
    /// Returns what was listed to its end.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Returns the digest of what the endpoint could see.
    pub fn coverage(&self) -> &[u8; 16] {
        &self.coverage
    }
}

/// Watches what an endpoint can see while it is listed.
#[derive(Debug)]
pub(crate) struct CoverageWatch {
    digest: [u8; 16],
    changed: bool,
}

impl CoverageWatch {
    /// Begins with what can be seen when the listing starts.
    pub(crate) fn begin(start: &CoverageInfo) -> Self {
        Self { digest: start.digest(), changed: false }
    }

    /// Takes note of what can be seen later on.
    pub(crate) fn observe(&mut self, now: &CoverageInfo) {
        self.changed |= now.digest() != self.digest;
    }

    /// Ends with what can be seen behind the last page; gives a seal only if it was the same all along.
    pub(crate) fn end(mut self, end: &CoverageInfo) -> Option<CoverageSeal> {
        self.observe(end);
        (!self.changed).then_some(CoverageSeal { digest: self.digest })
    }
}

/// What a listing under one unchanged coverage earns: the right to turn its closed scopes into proofs.
///
/// Members of closed groups are proven by the seal itself: what plans their endings asks for it.
#[derive(Debug)]
pub(crate) struct CoverageSeal {
    digest: [u8; 16],
}

impl CoverageSeal {
    /// Turns the closed scopes that hold objects into proofs; spoiled ones prove nothing.
    pub(crate) fn objects(&self, closes: &Closes) -> Vec<Complete> {
        ObjectKind::ALL.iter().filter_map(|kind| self.complete(closes, Scope::of(*kind))).collect()
    }

    fn complete(&self, closes: &Closes, scope: Scope) -> Option<Complete> {
        (closes.closed.contains(&scope) && !closes.spoiled.contains(&scope))
            .then_some(Complete { scope, coverage: self.digest })
    }
}

/// Which object scopes a listing closed, and which of them it spoiled.
#[derive(Debug, Clone, Default)]
pub(crate) struct Closes {
    closed: BTreeSet<Scope>,
    spoiled: BTreeSet<Scope>,
}

impl Closes {
    /// Takes note of a scope that the pager closed.
    pub(crate) fn close(&mut self, scope: Scope) {
        self.closed.insert(scope);
    }

    /// Takes note of a scope of which something was unreadable or could not be identified.
    pub(crate) fn spoil(&mut self, scope: Scope) {
        self.spoiled.insert(scope);
    }

    /// Lists the scopes that a person should know were not proven.
    pub(crate) fn spoiled(&self) -> impl Iterator<Item = &Scope> {
        self.spoiled.iter()
    }

    /// Lists the closed scopes.
    pub(crate) fn closed(&self) -> impl Iterator<Item = &Scope> {
        self.closed.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed() -> Closes {
        let mut closes = Closes::default();
        closes.close(Scope::Users);
        closes.close(Scope::Groups);
        closes
    }

    #[test]
    fn only_closed_scopes_become_proofs() {
        let seal = CoverageWatch::begin(&CoverageInfo::new("d", 1)).end(&CoverageInfo::new("d", 1)).unwrap();
        let scopes: Vec<_> = seal.objects(&closed()).into_iter().map(|proof| proof.scope).collect();
        assert_eq!(scopes, [Scope::Users, Scope::Groups]);
    }

    #[test]
    fn a_spoiled_scope_proves_nothing() {
        let mut closes = closed();
        closes.spoil(Scope::Users);
        let seal = CoverageWatch::begin(&CoverageInfo::new("d", 1)).end(&CoverageInfo::new("d", 1)).unwrap();
        assert_eq!(seal.objects(&closes).len(), 1);
    }

    #[test]
    fn a_change_between_start_and_end_earns_no_seal() {
        let mut end = CoverageInfo::new("d", 1);
        end.filters.insert("users".into(), "(department=x)".into());
        assert!(CoverageWatch::begin(&CoverageInfo::new("d", 1)).end(&end).is_none());
    }

    #[test]
    fn a_change_at_a_resume_earns_no_seal_although_it_went_back() {
        let start = CoverageInfo::new("d", 1);
        let mut watch = CoverageWatch::begin(&start);
        watch.observe(&CoverageInfo::new("d", 2));
        assert!(watch.end(&start).is_none());
    }
}
