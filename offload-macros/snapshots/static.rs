// #[offload(thread)]
// pub fn load<T: Send, U>(self, keys: Vec<T>, table: Table<U>, write: impl FnMut(T) + Send) -> T::Row where U: Send {
// self.0.load(keys, table, write)
// }

impl<W: Send> Loader<W> {
    pub async fn load<T: Send + 'static, U>(
        self,
        keys: Vec<T>,
        table: Table<U>,
        write: impl FnMut(T) + Send + 'static,
    ) -> T::Row
    where
        U: Send + 'static,
        Self: 'static,
    {
        use ::offload_runtime::__private as __offload;
        let keys: <Vec<T> as __offload::Argument<_>>::Held = keys;
        let table: <Table<U> as __offload::Argument<_>>::Held = table;
        let write = <_ as __offload::Argument<_>>::held(write);
        <Self as __offload::Argument<_>>::moves();
        <T::Row as __offload::Returned<
            _,
        >>::call(
                {
                    static __FUNCTION: __offload::Function = __offload::Function::thread(
                        __offload::concat!(__offload::module_path!(), "::load"),
                        &__offload::THREAD,
                    );
                    &__FUNCTION
                },
                <T::Row as __offload::Asked>::CARRIER.offload_fail(),
                move || -> T::Row {
                    let _ = &self;
                    let keys = keys;
                    let table = table;
                    let write = write;
                    { self.0.load(keys, table, write) }
                },
            )
            .await
    }
}
