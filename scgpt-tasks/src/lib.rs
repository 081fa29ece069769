//! What scGPT is used for: one module a question.
//!
//! - [`Embedder`]: which vector stands for each cell?
//! - [`Generator`]: which values do unknown genes have?
//! - [`Pretraining`]: what can be learned from cells alone?
//! - [`Annotation`] and [`Artefact`]: which type is each cell?
//! - [`ReferenceIndex`]: what do its neighbours in a reference say?
//! - [`Integration`]: where do cells lie, whatever their batch and modality?
//! - [`EmbeddingNetworks`] and [`AttentionNetworks`]: which genes belong together?
//! - [`Perturbation`]: how do cells respond to the perturbation of genes, and which one explains a state?
//! - [`cluster_scores`] and [`IntegrationScores`]: do cells of one type lie together, and batches mix?
//! - [`hvg_pca`]: what is there to see without a model?
//! - [`Simulation`]: what would cells of known types look like?
//!
//! [`Page`] is the room where every task's report is made.
//!
//! Tasks report their progress to an [`Observer`] and print nothing.

mod annotate;
mod artefact;
mod baseline;
mod cluster;
mod distances;
mod doubts;
mod embed;
mod empty_cells;
mod error;
mod evaluation;
mod folder_kind;
mod generate;
mod grn;
mod holdout;
mod integrate;
mod k_means;
mod known_genes;
mod labels;
mod limit;
mod logged;
mod mapping;
mod metrics;
mod model_folder;
mod names;
mod neighbours;
mod observe;
mod pca;
mod perturb;
mod pretrain;
mod projection;
mod report;
mod sample;
mod separation;
mod simulate;
mod stream;
mod training;
mod usage;

pub use crate::{
    annotate::{
        AnnotateConfig, AnnotateData, AnnotateOptions, AnnotateReport, Annotated, AnnotatedCell,
        Annotation, Artefact, ArtefactRecord, Calibration, ClassSize, ClassWeights, Judgement,
        Limits, MethodScores, PredictOptions, RepeatScores, UnknownScore,
    },
    baseline::{
        Association, Baseline, BaselineOptions, ClassBaseline, KnownResponses, LabelledCells,
        ModalitySpace, Place, Profiles, ResponseBaseline, Rival, class_baselines, harmony, hvg_pca,
        integration_rivals, multiomic_rivals, response_baselines,
    },
    cluster::{
        ClusterOptions, ClusterScores, Clustering, Graph, cluster_scores, graph_cluster_scores,
        leiden, louvain,
    },
    doubts::{doubts, doubts_of_shards},
    embed::{
        EmbedOptions, EmbedReport, Embedder, Embedding, GeneEmbedding, ModelReport, Timings,
        TokenCounts, VariableOptions, VariableReport, obs_column,
    },
    empty_cells::EmptyCells,
    error::{Error, Result},
    evaluation::{
        CalibrationScores, CellColumn, CellSpace, IntegrationComparison, IntegrationScores,
        LabelEvaluation, LabelMap, MapCell, PredictedLabels, ScoredEmbedding, UnknownScores,
    },
    folder_kind::{FolderKind, open_model},
    generate::{
        Ask, GenerateOptions, GenerateReport, GeneratedCells, Generator, RoundReport, Scores,
    },
    grn::{
        AttentionGroup, AttentionNetworks, AttentionOptions, AttentionReport, Background,
        Consistency, Edge, EmbeddingNetworkOptions, EmbeddingNetworks, EmbeddingReport, Enriched,
        GeneNetwork, GeneSet, GeneSets, NetworkEvaluation, NetworkPathways, NetworkRow, Pairs,
        Programme, ProgrammeOptions, ProgrammeScores, ReplicateScores, Setting, Significance,
        Target, TargetList, TrueEdges, TruthReport, Universe, benjamini_hochberg, enrich, p_values,
        programmes, strongest_graph,
    },
    holdout::stratified,
    integrate::{
        Ablated, BatchSize, CellModalities, Completed, GeneratedModality, GeneratedScores,
        IntegrateArtefact, IntegrateConfig, IntegrateData, IntegrateOptions, IntegrateRecord,
        IntegrateReport, Integrated, IntegratedOptions, Integration, IntegrationMethod,
        ModalitySize,
    },
    known_genes::KnownGenes,
    labels::{Labels, join_labels, split_labels},
    logged::{STATE_CELLS, input_state, input_values},
    mapping::{
        Ballot, Found, IndexLabels, IndexManifest, MadeBy, MapOptions, MappedCells, MappedLabels,
        ReferenceCells, ReferenceIndex, Search, Segment, Voting, confidence, majority,
        proportional,
    },
    metrics::{
        ClassScore, ClassScores, Coverage, EdgeScores, Interval, ReliabilityBin, ResponseScores,
        adjusted_rand_index, area_under_roc, batch_mixing, batch_variance, centroid_accuracy,
        difference, discrimination, expected_calibration_error, graph_connectivity, label_codes,
        label_separation, mean_ranks, normalised_mutual_information, pearson, reliability,
        sign_accuracy, silhouettes,
    },
    model_folder::write_model,
    neighbours::Neighbours,
    observe::{Observer, Silent, Watched},
    perturb::{
        Condition, ConditionScores, DeGenes, Design, DesignOptions, GivenControls,
        Group as DesignGroup, JudgedResponse, MethodResponses, Moments, NotJudged, PerturbArtefact,
        PerturbConfig, PerturbEvaluation, PerturbOptions, PerturbRecord, PerturbReport,
        Perturbation, PrepareOptions, Prepared, RESPONSE_SCORES, RespondOptions, Response,
        Responses, Retrieval, Reversal, ReverseOptions, ReversedGroup, Split, SplitChoice,
        SplitMode, TrainingProfile, candidates, evaluate_responses, prepare,
    },
    pretrain::{
        MeanExpression, Preset, PretrainConfig, PretrainOptions, PretrainReport, Pretraining,
    },
    projection::{CellMap, subsample},
    report::{Bar, Cluster, Group, HeatMap, Page, Pair, Scale, Series},
    separation::Separation,
    simulate::{
        Direction, MultimodalSimulateOptions, MultimodalSimulation, PerturbSimulateOptions,
        PerturbSimulation, SimulateOptions, Simulation,
    },
    stream::unit_rows,
    training::{LearnOptions, NetworkConfig, Recipe, TRAINING, UNFINISHED, clear_training},
};

/// The example of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
