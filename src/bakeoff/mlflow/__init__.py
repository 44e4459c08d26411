"""The mlflow room."""
