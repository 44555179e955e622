//! Takes erased people out of the index, and out of the bytes of its file. It does not know who they were: whoever is
//! no longer in the state file goes.

use super::file::Pair;
use super::follow;
use super::standing::Standing;
use crate::error::Result;
use crate::model::CustomerId;
use crate::store::sqlite::turn::rewrite_file;
use crate::store::sqlite::{SqliteStore, locks, sql};

impl SqliteStore {
    /// Takes whoever is gone out of the index and writes its file anew. Without an index nothing is to be done.
    ///
    /// # Errors
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) while somebody still reads an old state of the index.
    pub(in super::super) fn forget_in_index(&self, customer: Option<&CustomerId>) -> Result<()> {
        if !self.projection.path.exists() {
            return Ok(());
        }
        let _held = locks::wait(&self.projection.lock)?;
        self.projection.close_idle();
        let Ok(mut pair) = self.projection.pair(&self.path) else {
            // What cannot be read is thrown away: it is made again from what is left.
            self.projection.remove();
            return Ok(());
        };
        let customers = match customer {
            Some(customer) => vec![customer.clone()],
            None => customers(&pair)?,
        };
        for customer in customers {
            // A reading that begins now sees what was committed before.
            pair.state.execute_batch("BEGIN").map_err(sql("read the state file"))?;
            let standing = Standing::read(&pair.state, &customer)?;
            follow::sweep(&pair.state, &mut pair.index, &standing)?;
            super::touched::clear(&pair.index, standing.no)?;
            super::end(&pair)?;
        }
        rewrite_file(&pair.index)
    }
}

fn customers(pair: &Pair) -> Result<Vec<CustomerId>> {
    let step = || sql("read the customers");
    let mut query = pair.state.prepare("SELECT id FROM customers ORDER BY customer_no").map_err(step())?;
    let rows = query.query_map([], |row| row.get::<_, String>(0)).map_err(step())?;
    rows.map(|id| CustomerId::new(id.map_err(step())?)).collect()
}
