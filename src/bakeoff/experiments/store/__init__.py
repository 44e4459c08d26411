"""The store on disk: manifests, tables, paths, and the status of what runs."""
