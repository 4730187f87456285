"""The kopf operator of Trainwright: watches TrainingRuns and launches their stages on Kubernetes."""
